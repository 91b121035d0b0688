"""Every default and range, once. The command line's options and help derive from these."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rtseg.errors import SettingError, listed

HardwareDecoding = Literal["off", "auto", "cuda"]
ViewName = Literal[
    "overlay", "mask", "side-by-side", "contour", "cutout", "blur", "pixelate", "none"
]
DeviceName = str
"""`auto`, `cpu`, `cuda` (the first NVIDIA GPU), or `cuda:N`."""
DeviceKind = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
BackendName = Literal["auto", "torch", "openvino", "onnxruntime", "tensorrt"]
Codec = Literal[
    "auto", "h264", "hevc", "av1", "vp9", "ffv1", "h264_nvenc", "hevc_nvenc", "av1_nvenc"
]
AudioChoice = Literal["auto", "copy", "transcode", "none"]
SubtitleChoice = Literal["auto", "copy", "convert", "none"]
MetadataChoice = Literal["auto", "keep", "drop"]

HIDING_VIEWS: tuple[ViewName, ...] = ("blur", "pixelate")
"""Views that are chosen to hide who is in the picture."""


SHORTEST_TOKEN = 12
"""Characters of a token that a person chose."""


def setting(
    default: Any, help_text: str, *, low: float | None = None, high: float | None = None
) -> Any:
    """A dataclass field with its help line and inclusive range."""
    return dataclasses.field(
        default=default, metadata={"help": help_text, "low": low, "high": high}
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The base of all groups: checks choices and ranges when made.

    Raises:
        SettingError: a value is not one of its choices or outside its range.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            name = f"`{field.name}`"
            hint = hints[field.name]
            if get_origin(hint) is Literal and value not in get_args(hint):
                raise SettingError(
                    f"{name}: {value!r} is unknown; allowed: {listed(get_args(hint))}"
                )
            low, high = field.metadata.get("low"), field.metadata.get("high")
            if value is None or isinstance(value, (str, bool, tuple)):
                continue
            if (low is not None and not value >= low) or (high is not None and not value <= high):
                raise SettingError(f"{name}: {value} is out of range; allowed: {_range(low, high)}")


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"up to {high}"
    return f"{low} or more" if high is None else f"{low} to {high}"


def device_kind(device: DeviceName) -> DeviceKind:
    """What sort of device a name stands for.

    Raises:
        SettingError: it is none.
    """
    match device:
        case "auto" | "cpu" | "cuda":
            return device
    name, colon, index = device.partition(":")
    if name == "cuda" and colon and index.isascii() and index.isdecimal():
        return "cuda"
    raise SettingError(
        f"`device`: {device!r} is unknown; allowed: auto, cpu, cuda, cuda:N (the Nth NVIDIA GPU, "
        "from 0)"
    )


def device_index(device: DeviceName) -> int:
    """Which NVIDIA GPU a name stands for; 0 where it does not say."""
    return int(device.partition(":")[2] or 0)


def thread_count(threads: int) -> int:
    """What a `threads` setting means on this machine: 0 is one a core that we may use."""
    if threads > 0:
        return threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class ModelSettings(Settings):
    """Which model runs, and on what."""

    model: str | None = setting(None, "model file; the built-in face-parts model if not given")
    backend: BackendName = setting("auto", "what runs the network")
    device: DeviceName = setting("auto", "where the network runs: auto, cpu, cuda or cuda:N")
    precision: Precision = setting("auto", "what the network computes in")
    threads: int = setting(0, "processor threads in all; 0 is one a core", low=0, high=1024)
    compile: bool = setting(
        False, "have PyTorch compile the network for this processor: up to a minute, the first time"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        device_kind(self.device)


@dataclass(frozen=True, kw_only=True)
class FaceSettings(Settings):
    """How faces are found and followed."""

    detect_every: int = setting(
        12, "frames between two looks over the whole picture while a face is followed", low=1
    )
    max_faces: int = setting(4, "the most faces that are followed at once", low=1, high=64)
    min_score: float = setting(0.5, "how sure the finder must be of a face", low=0.05, high=0.99)
    hold: float = setting(
        1.0,
        "seconds that blur and pixelate go on hiding the place where a face was lost from sight",
        low=0.0,
        high=10.0,
    )
    smoothing: float = setting(
        0.5, "how much still pixels are averaged over time; 0 is off", low=0.0, high=1.0
    )


@dataclass(frozen=True, kw_only=True)
class ViewSettings(Settings):
    """What the picture looks like."""

    view: ViewName = setting("overlay", "what is drawn")
    opacity: float = setting(0.55, "how strongly the colours cover the picture", low=0.0, high=1.0)
    classes: tuple[str, ...] = setting(
        ("all",), "classes that are shown, by name and comma: skin,hair,… or all"
    )
    invert: bool = setting(False, "blur, pixelate or cut out everything else instead")
    background: str = setting(
        "auto",
        "what cutout puts behind: transparent, a colour (#rrggbb), or auto: transparent where "
        "the output can hold it, else black",
    )
    feather: float = setting(
        0.0, "pixels over which cutout and blur fade outwards", low=0.0, high=500.0
    )
    legend: bool = setting(False, "name the colours in the picture")
    hud: bool = setting(False, "show FPS and latency in the picture")


@dataclass(frozen=True, kw_only=True)
class ReadSettings(Settings):
    """How an input is read."""

    start: float | None = setting(
        None, "begin at this many seconds, or at a time as 00:01:02.5", low=0.0
    )
    end: float | None = setting(None, "stop at this many seconds, or at a time", low=0.0)
    timeout: float = setting(10.0, "seconds to wait for an input that says nothing", low=0.1)
    keep_timestamps: bool = setting(
        False, "keep the input's own clock; else the earliest picture or sound lies at zero"
    )
    allow_nested_urls: bool = setting(
        False, "read playlists (HLS, DASH, SDP …), which name other files and hosts to read"
    )
    hardware_decoding: HardwareDecoding = setting(
        "off", "decode on an NVIDIA GPU: cuda; auto where there is one"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise SettingError(
                f"`end`: {self.end} s lies before `start` {self.start} s; it must lie after it"
            )


@dataclass(frozen=True, kw_only=True)
class StreamSettings(Settings):
    """What is done about a live input that goes away."""

    reconnect: bool = setting(True, "open a live input again when it is lost, silent or frozen")
    max_reconnects: int = setting(
        10, "attempts in a row before a live input is given up", low=1, high=1_000_000
    )
    stale_after: float = setting(
        5.0,
        "seconds of one and the same picture, or of none, after which a live input is opened "
        "again; 0 is never",
        low=0.0,
    )


@dataclass(frozen=True, kw_only=True)
class EncodeSettings(Settings):
    """How a video is written."""

    codec: Codec = setting(
        "auto", "video codec; auto is h264, or vp9 in .webm; *_nvenc encode on an NVIDIA GPU"
    )
    crf: int | None = setting(
        None,
        "quality: lower is better and larger; the codec's own default if not given",
        low=0,
        high=63,
    )
    preset: str | None = setting(None, "the encoder's speed preset, as the encoder names it")
    audio: AudioChoice = setting(
        "auto",
        "sound: copied bit for bit where the container holds it, else transcoded to its usual "
        "codec (auto); copied or refused; always transcoded; or none",
    )
    subtitles: SubtitleChoice = setting(
        "auto",
        "subtitles: copied where the container holds them, else converted if they are text, else "
        "left out (auto); copied or refused; always converted; or none",
    )
    metadata: MetadataChoice = setting(
        "auto",
        "tags of the input (title, place, device …): kept, or dropped; auto drops them where the "
        "view hides people (blur, pixelate)",
    )
    overwrite: bool = setting(False, "replace an output that exists")

    @property
    def kept_streams(self) -> tuple[Literal["audio", "subtitle"], ...]:
        """The kinds of streams that the output gets beside the video."""
        kept: list[Literal["audio", "subtitle"]] = []
        if self.audio != "none":
            kept.append("audio")
        if self.subtitles != "none":
            kept.append("subtitle")
        return tuple(kept)

    def for_view(self, view: ViewName) -> EncodeSettings:
        """The same with `metadata` settled: a view that hides people drops it, unless told else."""
        if self.metadata != "auto":
            return self
        return dataclasses.replace(self, metadata="drop" if view in HIDING_VIEWS else "keep")


@dataclass(frozen=True, kw_only=True)
class WebSettings(Settings):
    """How the live page is served."""

    token: str | None = setting(
        None, "what viewers must know; one is made up for any host but this machine's own"
    )
    ssl_cert: str | None = setting(None, "PEM file with the page's certificate, for https")
    ssl_key: str | None = setting(None, "PEM file with the certificate's key")
    max_viewers: int = setting(16, "the most that watch at once", low=1, high=256)
    always: bool = setting(False, "go on segmenting while nobody watches")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise SettingError(
                f"`token`: has {len(self.token)} characters; allowed: {SHORTEST_TOKEN} or more, "
                "as anybody may try"
            )
        if (self.ssl_cert is None) != (self.ssl_key is None):
            raise SettingError("`ssl_cert` and `ssl_key` belong together; give both, or neither")


@dataclass(frozen=True, kw_only=True)
class ServeSettings(Settings):
    """How many a server takes."""

    max_visitors: int = setting(4, "the most visitors at once", low=1, high=64)


@dataclass(frozen=True, kw_only=True)
class VirtualCameraSettings(Settings):
    """How what is shown becomes a camera of its own."""

    virtual_camera_fps: float = setting(
        30.0, "pictures a second of the virtual camera", low=1.0, high=120.0
    )
    mirror: bool = setting(False, "mirror the virtual camera's picture")


@dataclass(frozen=True, kw_only=True)
class CameraSettings(Settings):
    """What is asked of a camera; it may answer with something else."""

    width: int = setting(1280, "pixels", low=16, high=16384)
    height: int = setting(720, "pixels", low=16, high=16384)
    fps: float = setting(30.0, "frames a second", low=1.0, high=1000.0)
    flip: bool = setting(False, "mirror the picture, as a looking glass does")
    fourcc: str = setting("MJPG", "pixel format, four letters (MJPG, YUYV …)")


@dataclass(frozen=True, kw_only=True)
class BenchSettings(Settings):
    """What is measured."""

    input: str | None = setting(None, "video file to run on; a moving face if not given")
    resolution: str = setting("1280x720", "size of the moving face's picture, WIDTHxHEIGHT pixels")
    frames: int = setting(300, "frames that are measured", low=1)
    warmup: int = setting(20, "frames that run before the clock starts", low=0)
    output: Literal["none", "encode"] = setting(
        "none", "draw the view only, or encode it into a temporary H.264 file as well"
    )
    overlap: bool = setting(True, "decode, infer and output at the same time")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 16 <= min(self.size) <= max(self.size) <= 16384:
            raise SettingError(
                f"`resolution`: {self.resolution} is out of range; allowed: 16x16 to 16384x16384"
            )

    @property
    def size(self) -> tuple[int, int]:
        """`resolution` as (width, height) in pixels."""
        width, cross, height = self.resolution.lower().partition("x")
        if not (cross and width.isdecimal() and height.isdecimal()):
            raise SettingError(
                f"`resolution`: {self.resolution!r} is not WIDTHxHEIGHT, as in 1280x720"
            )
        return int(width), int(height)

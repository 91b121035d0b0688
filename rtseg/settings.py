"""All settings with defaults and ranges, from which command-line options and help are derived."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Literal

from rtseg.errors import SettingError
from rtseg.validation import Settings, setting
from rtseg.view_registry import ViewKind, view_kind, views

HardwareDecoding = Literal["off", "auto", "cuda"]
ViewName = str
"""`overlay`, `mask`, … or another name in `rtseg.view_registry.views`."""
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

SHORTEST_TOKEN = 12
"""The shortest token, in characters, that a user may choose."""


def device_kind(device: DeviceName) -> DeviceKind:
    """The kind of device that a name refers to.

    Raises:
        SettingError: it is not a device.
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
    """The index of the NVIDIA GPU that a name refers to; 0 if it has none."""
    return int(device.partition(":")[2] or 0)


def thread_count(threads: int) -> int:
    """The number of threads for a `threads` setting; 0 means one per usable core."""
    if threads > 0:
        return threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class ModelSettings(Settings):
    """The model, and the backend that runs it."""

    model: str | None = setting(None, "model file; by default the built-in face-parts model")
    backend: BackendName = setting("auto", "the backend that runs the network")
    device: DeviceName = setting("auto", "where the network runs: auto, cpu, cuda or cuda:N")
    precision: Precision = setting("auto", "the network's numeric precision")
    threads: int = setting(0, "processor threads in total; 0 means one per core", low=0, high=1024)
    compile: bool = setting(
        False,
        "compile the network for this processor with PyTorch; the first time takes up to a minute",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        device_kind(self.device)


@dataclass(frozen=True, kw_only=True)
class FaceSettings(Settings):
    """How faces are detected and tracked."""

    detect_every: int = setting(
        12, "frames between searches of the whole picture while a face is tracked", low=1
    )
    max_faces: int = setting(4, "the most faces segmented in a picture", low=1, high=64)
    min_score: float = setting(0.5, "the lowest score at which a face counts", low=0.05, high=0.99)
    hold: float = setting(
        1.0,
        "seconds for which blur and pixelate keep hiding the place where a face was lost",
        low=0.0,
        high=10.0,
    )
    smoothing: float = setting(
        0.5,
        "how strongly labels are averaged over time where the picture is still; 0 turns it off",
        low=0.0,
        high=1.0,
    )


@dataclass(frozen=True, kw_only=True)
class ViewSettings(Settings):
    """How the view is drawn."""

    view: ViewName = setting("overlay", "the view to draw", choices=views)
    opacity: float = setting(0.55, "opacity of the colours over the picture", low=0.0, high=1.0)
    classes: tuple[str, ...] = setting(
        ("auto",),
        "classes to show, separated by commas: skin,hair,…; all; or auto: all but clothes",
    )
    invert: bool = setting(False, "swap inside and outside for blur, pixelate and cutout")
    background: str = setting(
        "auto",
        "background of the cutout view: transparent, a colour (#rrggbb), or auto: transparent if "
        "the output supports it, else black",
    )
    feather: float = setting(
        0.0, "width in pixels of the soft edge around cutout and blur", low=0.0, high=500.0
    )
    legend: bool = setting(False, "show the classes' names and colours in the picture")
    hud: bool = setting(False, "show FPS and latency in the picture")

    @property
    def kind(self) -> ViewKind:
        """The view's properties."""
        return view_kind(self.view)


@dataclass(frozen=True, kw_only=True)
class ReadSettings(Settings):
    """How inputs are read."""

    start: float | None = setting(None, "start at this time, in seconds or as 00:01:02.5", low=0.0)
    end: float | None = setting(None, "stop at this time, in seconds or as 00:01:02.5", low=0.0)
    timeout: float = setting(10.0, "seconds to wait for an input that sends nothing", low=0.1)
    keep_timestamps: bool = setting(
        False,
        "keep the input's timestamps, instead of shifting the earliest picture or sound to zero",
    )
    allow_nested_urls: bool = setting(
        False,
        "allow playlists (HLS, DASH, SDP …) of hosts that you trust: the files and hosts named in "
        "them are read too",
    )
    hardware_decoding: HardwareDecoding = setting(
        "off", "decode on an NVIDIA GPU: always (cuda), or if there is one (auto)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise SettingError(
                f"`end`: {self.end} s is before `start` {self.start} s; it must be after it"
            )


@dataclass(frozen=True, kw_only=True)
class StreamSettings(Settings):
    """How live inputs and network outputs are reconnected."""

    reconnect: bool = setting(True, "reopen a live input when it is lost, silent or frozen")
    max_reconnects: int = setting(
        10, "failed attempts in a row before giving up on a live input", low=1, high=1_000_000
    )
    stale_after: float = setting(
        5.0,
        "reopen a live input after this many seconds without a picture, or with an unchanged one; "
        "0 means never",
        low=0.0,
    )


@dataclass(frozen=True, kw_only=True)
class EncodeSettings(Settings):
    """How videos are encoded."""

    codec: Codec = setting(
        "auto", "video codec; auto is h264, or vp9 in .webm; *_nvenc encode on an NVIDIA GPU"
    )
    crf: int | None = setting(
        None,
        "quality: lower is better, and makes a larger file; by default the codec's own",
        low=0,
        high=63,
    )
    preset: str | None = setting(
        None, "speed preset, as the encoder calls it: fast, slow …; p1 to p7 for *_nvenc"
    )
    audio: AudioChoice = setting(
        "auto",
        "audio: auto copies it bit for bit if the container supports it, else transcodes it; "
        "copy fails if it cannot be copied; transcode always transcodes; none drops it",
    )
    subtitles: SubtitleChoice = setting(
        "auto",
        "subtitles: auto copies them if the container supports them, else converts text and "
        "drops pictures; copy fails if they cannot be copied; convert always converts; none drops "
        "them",
    )
    metadata: MetadataChoice = setting(
        "auto",
        "keep or drop the input's tags (title, location, device …); auto drops them if the view "
        "hides people (blur, pixelate)",
    )
    overwrite: bool = setting(False, "replace existing outputs")

    @property
    def kept_streams(self) -> tuple[Literal["audio", "subtitle"], ...]:
        """The kinds of streams written beside the video."""
        kinds: list[Literal["audio", "subtitle"]] = []
        if self.audio != "none":
            kinds.append("audio")
        if self.subtitles != "none":
            kinds.append("subtitle")
        return tuple(kinds)

    def for_view(self, view: ViewName) -> EncodeSettings:
        """Resolve `metadata` auto: a view that hides people drops tags."""
        if self.metadata != "auto":
            return self
        return dataclasses.replace(
            self, metadata="drop" if view_kind(view).hides_people else "keep"
        )


@dataclass(frozen=True, kw_only=True)
class WebSettings(Settings):
    """How the live page is served."""

    token: str | None = setting(
        None,
        "token that viewers need, 12 characters or more; by default one is generated if other "
        "machines can connect",
    )
    ssl_cert: str | None = setting(None, "PEM file with the page's certificate, for https")
    ssl_key: str | None = setting(None, "PEM file with the certificate's key")
    max_viewers: int = setting(16, "the most viewers at once", low=1, high=256)
    always: bool = setting(False, "keep segmenting even if nobody is watching")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise SettingError(
                f"`token`: has {len(self.token)} characters; allowed: {SHORTEST_TOKEN} or more, "
                "because a short one can be guessed"
            )
        if (self.ssl_cert is None) != (self.ssl_key is None):
            raise SettingError("`ssl_cert` and `ssl_key` belong together; give both, or neither")


@dataclass(frozen=True, kw_only=True)
class ServeSettings(Settings):
    """The limits of a server."""

    max_visitors: int = setting(4, "the most visitors at once, each with a camera", low=1, high=64)


@dataclass(frozen=True, kw_only=True)
class VirtualCameraSettings(Settings):
    """The virtual camera's rate and mirroring."""

    virtual_camera_fps: float = setting(
        30.0, "the virtual camera's frames per second", low=1.0, high=120.0
    )
    mirror: bool = setting(False, "mirror the virtual camera's picture")


@dataclass(frozen=True, kw_only=True)
class CameraSettings(Settings):
    """The format to request from a camera, which may deliver another one."""

    width: int = setting(1280, "width to request from the camera, in pixels", low=16, high=16384)
    height: int = setting(720, "height to request from the camera, in pixels", low=16, high=16384)
    fps: float = setting(30.0, "frames per second to request from the camera", low=1.0, high=1000.0)
    flip: bool = setting(False, "mirror the picture, left to right")
    fourcc: str = setting("MJPG", "pixel format to request from the camera: four letters")


@dataclass(frozen=True, kw_only=True)
class TaskSettings(Settings):
    """How the tasks of a batch are cut, and how often they are tried."""

    tries: int = setting(
        3, "the most times that a task is started if its worker keeps dying", low=1, high=100
    )
    split_minutes: float | None = setting(
        None,
        "cut longer inputs at key frames into pieces of about this many minutes, which several "
        "processes can share; the results are joined seamlessly, but tracking starts anew in "
        "each piece",
        above=0,
    )


@dataclass(frozen=True, kw_only=True)
class BenchSettings(Settings):
    """What a benchmark runs."""

    input: str | None = setting(None, "video file to run on; by default a synthetic moving face")
    resolution: str = setting("1280x720", "size of the synthetic picture, WIDTHxHEIGHT in pixels")
    frames: int = setting(300, "frames to measure", low=1)
    warmup: int = setting(20, "frames to process before measuring", low=0)
    output: Literal["none", "encode"] = setting(
        "none", "only draw the view (none), or also encode it to a temporary H.264 file"
    )
    overlap: bool = setting(
        True, "decode, infer and output at the same time, as all other commands do"
    )

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

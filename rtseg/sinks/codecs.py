"""The video codecs that can be written: their containers, their options, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from rtseg.errors import SettingError, listed
from rtseg.settings import EncodeSettings
from rtseg.system.threads import half

CONTAINERS: Mapping[str, str] = MappingProxyType(
    {
        ".mp4": "mp4",
        ".mov": "mov",
        ".mkv": "matroska",
        ".webm": "webm",
        ".m4v": "mp4",
        ".ts": "mpegts",
    }
)
"""FFmpeg's muxer by the suffix of the output."""

STANDARD_OUTPUT = "-"


@dataclass(frozen=True, kw_only=True)
class VideoCodec:
    """How one codec is encoded.

    Attributes:
        encoder: FFmpeg's name of the encoder.
        suffixes: the containers that hold it and that players read.
        crf: the lowest, the default and the highest quality number; None where it has none.
        presets: names of the speed presets, as the encoder has them.
        preset: the default one.
        needs_even: sizes are rounded up to even ones, by repeating the last row or column.
        software: the codec that the processor encodes instead, for a GPU's encoder; "" for others.
        smallest: side that a picture must have, in pixels.
        pixel_format, alpha_format: what RGB and RGBA pictures become; None where transparency
            is not held.
    """

    encoder: str
    suffixes: tuple[str, ...]
    crf: tuple[int, int, int] | None = None
    presets: tuple[str, ...] = ()
    preset: str = ""
    needs_even: bool = False
    software: str = ""
    smallest: int = 1
    pixel_format: str = "yuv420p"
    alpha_format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


_X26X_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)

_FAST_PRESETS = _X26X_PRESETS[:3]
_NVENC_PRESETS = tuple(f"p{number}" for number in range(1, 8))
_QUICKLY_ENCODED_PIXELS = 1280 * 720

_X265_LOOKAHEAD: Mapping[str, int] = MappingProxyType(
    dict(zip(_X26X_PRESETS, (5, 10, 15, 15, 15, 20, 25, 40, 40, 60), strict=True))
)
"""Frames that x265's presets look ahead."""

_AHEAD_BYTES = 256 << 20
_BYTES_A_PIXEL = 4
"""What x265 and x264 hold for each pixel of a picture that waits: its planes, padded, in half size
as well, and what was estimated of its motion; measured with x265."""
_LEAST_AHEAD, _MOST_AHEAD = 3, 60

CODECS: Mapping[str, VideoCodec] = MappingProxyType(
    {
        "h264": VideoCodec(
            encoder="libx264",
            suffixes=(".mp4", ".mov", ".mkv", ".m4v", ".ts"),
            crf=(0, 23, 51),
            presets=_X26X_PRESETS,
            preset="veryfast",
            needs_even=True,
        ),
        "hevc": VideoCodec(
            encoder="libx265",
            suffixes=(".mp4", ".mov", ".mkv", ".m4v", ".ts"),
            crf=(0, 28, 51),
            presets=_X26X_PRESETS,
            preset="veryfast",
            needs_even=True,
            smallest=16,
            # x265 writes to the terminal by itself.
            options={"x265-params": "log-level=none"},
        ),
        "av1": VideoCodec(
            encoder="libsvtav1",
            suffixes=(".mp4", ".mkv", ".webm"),
            crf=(1, 35, 63),
            presets=tuple(str(number) for number in range(14)),
            preset="10",
            smallest=4,
        ),
        "vp9": VideoCodec(
            encoder="libvpx-vp9",
            suffixes=(".webm", ".mkv", ".mp4"),
            crf=(0, 32, 63),
            presets=tuple(str(number) for number in range(9)),
            preset="8",
            alpha_format="yuva420p",
            options={"row-mt": "1", "lag-in-frames": "0", "auto-alt-ref": "0"},
        ),
        "h264_nvenc": VideoCodec(
            encoder="h264_nvenc",
            suffixes=(".mp4", ".mov", ".mkv"),
            crf=(1, 23, 51),
            presets=_NVENC_PRESETS,
            preset="p4",
            needs_even=True,
            software="h264",
            smallest=160,
        ),
        "hevc_nvenc": VideoCodec(
            encoder="hevc_nvenc",
            suffixes=(".mp4", ".mov", ".mkv"),
            crf=(1, 28, 51),
            presets=_NVENC_PRESETS,
            preset="p4",
            needs_even=True,
            software="hevc",
            smallest=160,
        ),
        "av1_nvenc": VideoCodec(
            encoder="av1_nvenc",
            suffixes=(".mp4", ".mkv", ".webm"),
            crf=(1, 35, 63),
            presets=_NVENC_PRESETS,
            preset="p4",
            needs_even=True,
            software="av1",
            smallest=160,
        ),
        "ffv1": VideoCodec(
            encoder="ffv1",
            suffixes=(".mkv",),
            smallest=2,
            pixel_format="bgr0",
            alpha_format="bgra",
            options={"level": "3", "slicecrc": "1", "slices": "4"},
        ),
    }
)


def choose_codec(output: str, settings: EncodeSettings) -> VideoCodec:
    """The codec for an output, with its quality and preset checked.

    Raises:
        SettingError: the container is unknown or cannot hold the codec, or the codec takes no
            such quality or preset.
    """
    suffix = suffix_of(output)
    name: str = settings.codec
    if name == "auto":
        name = "vp9" if suffix == ".webm" else "h264"
    codec = CODECS[name]
    if suffix not in codec.suffixes:
        fitting = [other for other, candidate in CODECS.items() if suffix in candidate.suffixes]
        raise SettingError(
            f"`codec`: {suffix} cannot hold {name}; allowed in {suffix}: {listed(fitting)}; "
            f"{name} goes into {listed(codec.suffixes)}"
        )
    _check_quality(name, codec, settings)
    return codec


def suffix_of(output: str) -> str:
    """The suffix that decides the container; standard output carries Matroska.

    Raises:
        SettingError: no container is known by it.
    """
    from pathlib import Path

    suffix = ".mkv" if output == STANDARD_OUTPUT else Path(output).suffix.lower()
    if suffix not in CONTAINERS:
        raise SettingError(
            f"{output}: {suffix or 'no suffix'} is no video that can be written; "
            f"allowed: {listed(CONTAINERS)}"
        )
    return suffix


def _check_quality(name: str, codec: VideoCodec, settings: EncodeSettings) -> None:
    if settings.crf is not None:
        if codec.crf is None:
            raise SettingError(f"`crf`: {name} is lossless and takes none; leave it out")
        low, _, high = codec.crf
        if not low <= settings.crf <= high:
            raise SettingError(
                f"`crf`: {settings.crf} is out of range for {name}; allowed: {low} to {high}"
            )
    if settings.preset is not None and settings.preset not in codec.presets:
        allowed = listed(codec.presets) if codec.presets else "none; leave it out"
        raise SettingError(
            f"`preset`: {settings.preset!r} is unknown to {name}; allowed: {allowed}"
        )


def encoder_threads(
    codec: VideoCodec,
    settings: EncodeSettings,
    *,
    width: int,
    height: int,
    threads: int,
    shared: bool,
) -> int:
    """How many threads encode; 0 lets the encoder choose.

    Args:
        width, height: of the pictures, pixels.
        threads: how many may; 0 is as many as it likes.
        shared: the network runs on the same cores. Then x264's fast presets get half of them for
            pictures of up to 1280x720, which it encodes faster than the network looks at them;
            larger ones take longer than the network, and get all.
    """
    is_fast = codec.encoder == "libx264" and (settings.preset or codec.preset) in _FAST_PRESETS
    if shared and is_fast and width * height <= _QUICKLY_ENCODED_PIXELS:
        return half(threads)
    return threads


def encoder_options(
    codec: VideoCodec,
    settings: EncodeSettings,
    *,
    frames_a_second: float,
    threads: int,
    pixels: int = 0,
) -> dict[str, str]:
    """The options that the encoder is opened with.

    Args:
        codec, settings: what is asked for.
        frames_a_second: nominal.
        threads: how many may encode; 0 lets the encoder choose.
        pixels: of a picture: how far an encoder looks ahead is bounded by what that holds.
    """
    options = dict(codec.options)
    preset = settings.preset or codec.preset
    if codec.software:
        quality = codec.crf[1] if codec.crf and settings.crf is None else settings.crf
        # NVENC's constant quality: a variable rate whose target is left out
        options |= {"rc": "vbr", "cq": str(quality), "b": "0", "preset": preset}
        return options
    if codec.crf is not None:
        options["crf"] = str(codec.crf[1] if settings.crf is None else settings.crf)
    if codec.encoder == "libvpx-vp9":
        options["cpu-used"] = preset
        options["deadline"] = "good" if int(preset) <= 5 else "realtime"
    elif preset:
        options["preset"] = preset
    if codec.encoder == "libx264":
        # Frames that wait in the encoder are lost if the program is killed: a third of a second.
        third = max(1, min(10, round(frames_a_second / 3)))
        options["rc-lookahead"] = str(min(third, _frames_ahead(pixels)))
    if codec.encoder == "libx265":
        usual = _X265_LOOKAHEAD[preset]
        options["x265-params"] += f":rc-lookahead={min(usual, _frames_ahead(pixels))}"
    if threads and codec.encoder == "libx265":
        options["x265-params"] += f":pools={threads}"
    if threads and codec.encoder == "libsvtav1":
        options["svtav1-params"] = f"lp={threads}"
    return options


def _frames_ahead(pixels: int) -> int:
    """How many pictures may wait in an encoder that looks ahead: at most `_AHEAD_BYTES` of them."""
    if pixels < 1:
        return _MOST_AHEAD
    return max(_LEAST_AHEAD, min(_MOST_AHEAD, _AHEAD_BYTES // (_BYTES_A_PIXEL * pixels)))

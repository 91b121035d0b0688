"""The supported video codecs: containers, encoder options and limits."""

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
"""FFmpeg's muxer for each output suffix."""

STANDARD_OUTPUT = "-"


@dataclass(frozen=True, kw_only=True)
class VideoCodec:
    """How to encode one codec.

    Attributes:
        encoder: FFmpeg's name of the encoder.
        suffixes: the containers that support it and that players can read.
        crf: the lowest, default and highest quality number; None if it has none.
        presets: the encoder's names of its speed presets.
        preset: the default preset.
        needs_even: sizes are rounded up to even numbers by repeating the last row or column.
        software: for a GPU's encoder, the codec to use on the processor instead; else "".
        smallest: the shortest side that a picture may have, in pixels.
        pixel_format, alpha_format: the formats for RGB and RGBA pictures; None if transparency
            is not supported.
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
"""Lookahead of x265's presets in frames."""

_AHEAD_BYTES = 256 << 20
_BYTES_A_PIXEL = 4
"""Bytes per pixel that x265 and x264 hold for each queued picture: padded planes, half-size copies
and motion estimates. Measured with x265."""
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
            # x265 would write to the terminal.
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
    """Choose the codec for an output, and check its quality and preset.

    Raises:
        SettingError: the container is unknown or does not support the codec, or the quality or
            preset is invalid for the codec.
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
    """The suffix that determines the container; standard output carries Matroska.

    Raises:
        SettingError: no container has this suffix.
    """
    from pathlib import Path

    suffix = ".mkv" if output == STANDARD_OUTPUT else Path(output).suffix.lower()
    if suffix not in CONTAINERS:
        raise SettingError(
            f"{output}: {suffix or 'no suffix'} is not a supported video format; "
            f"allowed: {listed(CONTAINERS)}"
        )
    return suffix


def _check_quality(name: str, codec: VideoCodec, settings: EncodeSettings) -> None:
    if settings.crf is not None:
        if codec.crf is None:
            raise SettingError(f"`crf`: {name} is lossless and takes none; omit it")
        low, _, high = codec.crf
        if not low <= settings.crf <= high:
            raise SettingError(
                f"`crf`: {settings.crf} is out of range for {name}; allowed: {low} to {high}"
            )
    if settings.preset is not None and settings.preset not in codec.presets:
        allowed = listed(codec.presets) if codec.presets else "none; omit it"
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
    """Choose the number of encoder threads; 0 lets the encoder choose.

    Args:
        width, height: picture size in pixels.
        threads: the most threads; 0 for no limit.
        shared: whether the network runs on the same cores. If so, x264's fast presets get half
            of them for pictures up to 1280x720, which they encode faster than the network runs.
            Larger pictures take longer to encode than to segment, and get all cores.
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
    """Return the options for opening the encoder.

    Args:
        codec, settings: the requested codec, quality and preset.
        frames_a_second: nominal frame rate.
        threads: encoder threads; 0 lets the encoder choose.
        pixels: pixels per picture; bounds the lookahead so that it stays within memory.
    """
    options = dict(codec.options)
    preset = settings.preset or codec.preset
    if codec.software:
        quality = codec.crf[1] if codec.crf and settings.crf is None else settings.crf
        # NVENC's constant quality mode: a variable rate without a target
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
        # Frames queued in the encoder are lost if the program is killed: a third of a second.
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
    """The most pictures that a lookahead may hold: those that fit in `_AHEAD_BYTES`."""
    if pixels < 1:
        return _MOST_AHEAD
    return max(_LEAST_AHEAD, min(_MOST_AHEAD, _AHEAD_BYTES // (_BYTES_A_PIXEL * pixels)))

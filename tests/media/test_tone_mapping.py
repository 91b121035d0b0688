"""Tone mapping of HDR: patches compared with BT.2100 and BT.2446, and the output's tags."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from rtseg.media.tone_mapping import HLG, PQ, ToneMapper
from rtseg.sources.video import VideoSource
from tests.support.clips import MakeClip, convert, frame_times, read_frames

GREYS = (0.0, 0.01, 0.03, 0.08, 0.15, 0.25, 0.38, 0.45, 0.5, 0.58, 0.65, 0.75, 0.85, 0.95, 1.0)
COLOURS = (
    (0.60, 0.45, 0.40),  # skin
    (0.75, 0.10, 0.10),
    (0.10, 0.70, 0.15),
    (0.12, 0.15, 0.60),
    (0.30, 0.05, 0.02),
    (0.02, 0.05, 0.20),
    (0.70, 0.68, 0.20),
    (0.20, 0.65, 0.70),
    (0.55, 0.50, 0.52),
)
PATCHES = (*((grey,) * 3 for grey in GREYS), *COLOURS)

Colour = tuple[float, float, float]


def light_of(signal: Colour, transfer: int, peak: float) -> list[float]:
    """Display light in BT.2020's primaries, relative to the peak: BT.2100-2, tables 4 and 5."""
    if transfer == PQ:
        m1, m2 = 2610 / 16384, 2523 / 4096 * 128
        c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        light = []
        for value in signal:
            power = value ** (1 / m2)
            nits = 10000 * (max(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
            light.append(min(nits / peak, 1))
        return light
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * math.log(4 * a)
    scene = [v * v / 3 if v <= 0.5 else (math.exp((v - c) / a) + b) / 12 for v in signal]
    luminance = 0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2]
    return [value * luminance**0.2 for value in scene]


def wanted(signal: Colour, transfer: int, peak: float = 1000) -> list[float]:
    """The 8-bit R'G'B' of BT.709 by Report BT.2446-1, method A, and BT.2087."""
    red, green, blue = (light ** (1 / 2.4) for light in light_of(signal, transfer, peak))
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    if luma == 0:
        return [0, 0, 0]
    rho_hdr = 1 + 32 * (peak / 10000) ** (1 / 2.4)
    rho_sdr = 1 + 32 * (100 / 10000) ** (1 / 2.4)
    y = math.log(1 + (rho_hdr - 1) * luma) / math.log(rho_hdr)
    if y <= 0.7399:
        y = 1.0770 * y
    elif y < 0.9909:
        y = -1.1510 * y * y + 2.7811 * y - 0.6302
    else:
        y = 0.5 * y + 0.5
    sdr = (rho_sdr**y - 1) / (rho_sdr - 1)
    scale = sdr / (1.1 * luma)
    blue_difference = scale * (blue - luma) / 1.8814
    red_difference = scale * (red - luma) / 1.4746
    luma = sdr - max(0.1 * red_difference, 0)
    red = luma + 1.4746 * red_difference
    blue = luma + 1.8814 * blue_difference
    green = (luma - 0.2627 * red - 0.0593 * blue) / 0.6780
    linear = np.array([max(value, 0) ** 2.4 for value in (red, green, blue)])
    matrix = np.array(
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    )
    narrow = np.clip(matrix @ linear, 0, 1)
    return list(255 * narrow ** (1 / 2.4))


@pytest.mark.parametrize(("transfer", "peak"), [(HLG, 1000), (PQ, 1000), (PQ, 4000)])
def test_colour_patches_match_the_specification(transfer: int, peak: int) -> None:
    mapper = ToneMapper(transfer, peak_nits=peak)
    for colour in PATCHES:
        signal = np.full((3, 5, 3), np.rint(65535 * np.array(colour)), np.uint16)
        mapped = mapper.map(signal)
        assert mapped.shape == (3, 5, 3)
        assert (mapped == mapped[0, 0]).all()
        assert np.abs(mapped[0, 0] - wanted(colour, transfer, peak)).max() <= 1, colour


def codes_of(colours: Any) -> np.ndarray[Any, Any]:
    """Y'CbCr of BT.2020 in 10 bits, limited range: (3, patches)."""
    signal = np.array(colours, float)
    luma = signal @ (0.2627, 0.6780, 0.0593)
    return np.rint(
        [
            64 + 876 * luma,
            512 + 896 * (signal[:, 2] - luma) / 1.8814,
            512 + 896 * (signal[:, 0] - luma) / 1.4746,
        ]
    )


def as_coded(colours: Any) -> list[Colour]:
    """The colours that the rounded codes represent."""
    luma, blue, red = (codes_of(colours) - [[64], [512], [512]]) / [[876], [896], [896]]
    red, blue = luma + 1.4746 * red, luma + 1.8814 * blue
    green = (luma - 0.2627 * red - 0.0593 * blue) / 0.6780
    return [tuple(colour) for colour in np.clip(np.array([red, green, blue]).T, 0, 1)]


def in_ten_bits(colours: Any, size: int = 16) -> av.VideoFrame:
    """Patches side by side, 4:2:0."""
    planes = []
    for plane, step in zip(codes_of(colours), (1, 2, 2), strict=True):
        row = np.repeat(plane.astype(np.uint16), size // step)
        planes.append(np.repeat(row[None], size // step, 0))
    frame = av.VideoFrame(planes[0].shape[1], size, "yuv420p10le")
    for target, source in zip(frame.planes, planes, strict=True):
        padded = np.zeros((target.height, target.line_size // 2), np.uint16)
        padded[:, : source.shape[1]] = source
        target.update(padded.tobytes())
    return frame


def make_hdr(make_clip: MakeClip, name: str, transfer: int, **how: Any) -> Path:
    codec = how.pop("codec", "ffv1")
    return make_clip(
        name,
        ticks=range(3),
        raw=[in_ten_bits(PATCHES) for _ in range(3)],
        codec=codec,
        pixel_format="yuv420p10le",
        stream={"color_primaries": 9, "color_trc": transfer, "colorspace": 9, "color_range": 1},
        **how,
    )


def centres(image: np.ndarray[Any, Any], size: int = 16) -> np.ndarray[Any, Any]:
    return image[size // 2, size // 2 :: size].astype(float)


@pytest.mark.parametrize("transfer", [HLG, PQ])
@pytest.mark.parametrize("name", ["hdr.mkv", "hdr.mp4"])
def test_an_hdr_video_is_read_through_the_curve(
    make_clip: MakeClip, name: str, transfer: int
) -> None:
    how: dict[str, Any] = {}
    if name == "hdr.mp4":
        how = {"codec": "libx265", "options": {"x265-params": "lossless=1:log-level=none"}}
    path = make_hdr(make_clip, name, transfer, **how)
    with VideoSource(str(path), threads=1) as source:
        tags = source.info.colour
        assert (tags.primaries, tags.transfer, tags.matrix, tags.full_range) == (1, 1, 1, False)
    patches = centres(read_frames(path)[1].image)
    for colour, patch in zip(as_coded(PATCHES), patches, strict=True):
        assert np.abs(patch - wanted(colour, transfer)).max() <= 1, (colour, patch)


def test_the_output_is_tagged_bt_709_and_has_its_colours(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    source = make_hdr(make_clip, "hdr.mkv", HLG)
    for suffix in (".mp4", ".mkv", ".webm"):
        output = tmp_path / f"out{suffix}"
        convert(source, output, crf=1)
        assert len(frame_times(output)) == 3
        with av.open(str(output)) as container:
            frame = next(container.decode(video=0))
            assert (frame.color_primaries, frame.color_trc, frame.colorspace) == (1, 1, 1)
            assert frame.color_range == 1
            assert frame.format.name == "yuv420p"
        patches = centres(read_frames(output)[1].image)
        for colour, patch in list(zip(as_coded(PATCHES), patches, strict=True))[: len(GREYS)]:
            assert np.abs(patch - wanted(colour, HLG)).max() <= 3, (colour, patch)


def test_the_mastering_displays_peak_is_used(make_clip: MakeClip) -> None:
    display = "G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(40000000,50)"
    path = make_hdr(
        make_clip,
        "hdr.mp4",
        PQ,
        codec="libx265",
        options={"x265-params": f"lossless=1:log-level=none:master-display={display}"},
    )
    patches = centres(read_frames(path)[1].image)
    for colour, patch in zip(as_coded(PATCHES), patches, strict=True):
        assert np.abs(patch - wanted(colour, PQ, 4000)).max() <= 1, (colour, patch)


def test_primaries_of_bt_709_and_p3_are_converted_first() -> None:
    grey = np.full((4, 4, 3), 40000, np.uint16)
    red = np.zeros((4, 4, 3), np.uint16)
    red[..., 0] = 40000
    for transfer in (HLG, PQ):
        wide, narrow, p3 = (ToneMapper(transfer, primaries=n) for n in (9, 1, 12))
        for mapper in (narrow, p3):
            assert np.abs(mapper.map(grey).astype(int) - wide.map(grey)).max() <= 1
        # BT.709's red is inside BT.709; BT.2020's is not.
        assert narrow.map(red)[0, 0, 1] > 0 or narrow.map(red)[0, 0, 0] < wide.map(red)[0, 0, 0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (2, 3), (1081, 64)])
def test_any_size_is_mapped(shape: tuple[int, int]) -> None:
    signal = np.full((*shape, 3), 30000, np.uint16)
    mapped = ToneMapper(PQ).map(signal)
    assert mapped.shape == (*shape, 3)
    assert (mapped == mapped[0, 0]).all()


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("pixel_format", ["yuv444p12le", "yuv422p10le", "gbrp10le"])
def test_any_hdr_pixel_format_is_mapped(
    make_clip: MakeClip, pixel_format: str, full_range: bool
) -> None:
    """Greys, which are equal in all primaries."""
    bits = 12 if "12" in pixel_format else 10
    levels = np.array(GREYS)
    black, white = (0, (1 << bits) - 1) if full_range else (16 << bits - 8, 235 << bits - 8)
    if pixel_format.startswith("gbr"):
        black, white = 0, (1 << bits) - 1
    codes = np.rint(black + (white - black) * levels)
    frame = av.VideoFrame(16 * len(GREYS), 16, pixel_format)
    for number, plane in enumerate(frame.planes):
        is_colour = number > 0 and not pixel_format.startswith("gbr")
        row = np.full(len(GREYS), 1 << bits - 1) if is_colour else codes
        padded = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        padded[:, : plane.width] = np.repeat(row, plane.width // len(GREYS))
        plane.update(padded.tobytes())
    tags = {"color_primaries": 9, "color_trc": PQ, "colorspace": 9}
    tags["color_range"] = 2 if full_range else 1
    path = make_clip(
        "grey.mkv", ticks=[0], raw=[frame], codec="ffv1", pixel_format=pixel_format, stream=tags
    )
    patches = centres(read_frames(path)[0].image)
    for code, patch in zip(codes, patches, strict=True):
        grey = (code - black) / (white - black)
        assert np.abs(patch - wanted((grey,) * 3, PQ)).max() <= 1

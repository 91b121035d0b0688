"""Detecting truncated files in older containers by the lengths that they state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtseg.errors import TruncatedError
from rtseg.frames import Frame
from rtseg.media.truncation import is_cut_short
from rtseg.sources.video import VideoSource
from tests.support.clips import MakeClip, read_frames

CONTAINERS = [
    ("a.avi", "libx264", "yuv420p"),
    ("a.avi", "mjpeg", "yuvj420p"),
    ("a.flv", "flv", "yuv420p"),
    ("a.flv", "libx264", "yuv420p"),
    ("a.wmv", "wmv2", "yuv420p"),
    ("a.mxf", "mpeg2video", "yuv420p"),
    ("a.gif", "gif", "rgb8"),
    ("a.ivf", "libvpx-vp9", "yuv420p"),
]


def noisy_clip(make_clip: MakeClip, name: str, codec: str, pixel_format: str) -> Path:
    noise = np.random.default_rng(5)
    images = [noise.integers(0, 255, (48, 64, 3)).astype(np.uint8) for _ in range(30)]
    return make_clip(name, ticks=range(30), images=images, codec=codec, pixel_format=pixel_format)


@pytest.mark.parametrize(("name", "codec", "pixel_format"), CONTAINERS)
def test_a_file_cut_anywhere_is_recognised(
    make_clip: MakeClip, name: str, codec: str, pixel_format: str
) -> None:
    path = noisy_clip(make_clip, name, codec, pixel_format)
    assert not is_cut_short(path)
    data = path.read_bytes()
    if not name.endswith("ivf"):
        path.write_bytes(data + b"rubbish at the end")
        assert not is_cut_short(path)
    for length in range(128, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:length])
        assert is_cut_short(path), length


@pytest.mark.parametrize(("name", "codec", "pixel_format"), CONTAINERS)
def test_a_cut_file_delivers_its_frames_and_is_reported(
    make_clip: MakeClip, name: str, codec: str, pixel_format: str
) -> None:
    path = noisy_clip(make_clip, name, codec, pixel_format)
    whole = read_frames(path)
    assert len(whole) == 30
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    frames: list[Frame] = []
    with VideoSource(str(path), threads=1) as source, pytest.raises(TruncatedError) as error:
        frames.extend(item for item in source if isinstance(item, Frame))
    assert "is truncated after" in str(error.value)
    assert 5 < len(frames) < 30
    for frame, wanted in zip(frames[:-3], whole, strict=False):
        np.testing.assert_array_equal(frame.image, wanted.image)


def test_a_file_that_states_no_length_counts_as_whole(make_clip: MakeClip) -> None:
    """Make what a killed writer leaves: sizes of zero."""
    avi = noisy_clip(make_clip, "a.avi", "libx264", "yuv420p")
    data = bytearray(avi.read_bytes())
    data[4:8] = bytes(4)
    avi.write_bytes(data[: len(data) // 2])
    assert not is_cut_short(avi)
    transport = make_clip("a.ts", ticks=range(30))
    transport.write_bytes(transport.read_bytes()[: 188 * 20])
    assert not is_cut_short(transport)


def test_flash_video_without_metadata_is_judged_by_its_tags(make_clip: MakeClip) -> None:
    options = {"flvflags": "no_metadata+no_duration_filesize"}
    path = make_clip("a.flv", codec="flv", ticks=range(30), muxer_options=options)
    data = path.read_bytes()
    assert not is_cut_short(path)
    path.write_bytes(data[:-30])
    assert is_cut_short(path)


MAGIC = [b"RIFF", b"FLV\x01", b"GIF89a", b"OggS", b"DKIF", b"\x06\x0e\x2b\x34"]
MAGIC.append(bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"))


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from(MAGIC))
def test_any_bytes_cause_no_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, head: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(head + data)
    is_cut_short(path)


def test_an_open_dml_file_of_several_chunks_is_measured(tmp_path: Path) -> None:
    def chunk(kind: bytes, size: int) -> bytes:
        return b"RIFF" + size.to_bytes(4, "little") + kind + bytes(size - 4)

    path = tmp_path / "large.avi"
    whole = chunk(b"AVI ", 1000) + chunk(b"AVIX", 501) + b"\0" + chunk(b"AVIX", 700)
    path.write_bytes(whole)
    assert not is_cut_short(path)
    for length in (900, 1200, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert is_cut_short(path)

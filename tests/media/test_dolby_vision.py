"""Dolby Vision: profiles with a base layer are read, others are refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtseg.errors import SourceError
from rtseg.media.dolby_vision import DolbyVision
from rtseg.sources import open_source
from rtseg.sources.video import VideoSource
from tests.support.clips import MakeClip, read_frames


def record(profile: int, base: int) -> bytes:
    """Make a DOVIDecoderConfigurationRecord: a base layer with an RPU, level 6."""
    bits = profile << 9 | 6 << 3 | 0b101
    return bytes([1, 0]) + bits.to_bytes(2, "big") + bytes([base << 4]) + bytes(19)


def put_in(box: bytes, path: list[bytes], addition: bytes) -> bytes:
    """Append something inside the box of an ISO file that a path leads to."""
    content = bytearray()
    position = 0
    while position + 8 <= len(box):
        length = int.from_bytes(box[position : position + 4], "big")
        kind, body = box[position + 4 : position + 8], box[position + 8 : position + length]
        if kind == path[0]:
            skipped = {b"stsd": 8}.get(kind, 0)
            rest = path[1:]
            inner = put_in(body[skipped:], rest, addition) if rest else body[skipped:] + addition
            body = body[:skipped] + inner
        content += (len(body) + 8).to_bytes(4, "big") + kind + body
        position += length
    return bytes(content)


SAMPLE_ENTRY = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"]


def dolby_clip(make_clip: MakeClip, name: str, profile: int, base: int) -> Path:
    """Make a file that claims to be Dolby Vision; `moov` is last, so that nothing else moves."""
    transfer = {1: 16, 4: 18}.get(base, 2)
    path = make_clip(
        name,
        ticks=range(3),
        width=96,
        height=64,
        codec="libx265",
        pixel_format="yuv420p10le",
        options={"x265-params": "log-level=none"},
        stream={"color_primaries": 9, "color_trc": transfer, "colorspace": 9},
    )
    kind = b"dvvC" if profile >= 8 else b"dvcC"
    box = (32).to_bytes(4, "big") + kind + record(profile, base)
    data = path.read_bytes()
    entry = b"hev1" if b"hev1" in data else b"hvc1"
    path.write_bytes(put_in(data, [*SAMPLE_ENTRY, entry], box))
    return path


@pytest.mark.parametrize(("profile", "base"), [(8, 1), (8, 4), (8, 2), (7, 6)])
def test_profiles_with_a_base_layer_are_read(make_clip: MakeClip, profile: int, base: int) -> None:
    path = dolby_clip(make_clip, "dolby.mp4", profile, base)
    assert DolbyVision.in_file(path) == DolbyVision(profile=profile, base=base)
    with VideoSource(str(path)) as source:
        assert source.info.colour.transfer in (1, 2)
    assert len(read_frames(path)) == 3


@pytest.mark.parametrize("profile", [5, 10])
def test_profiles_without_a_base_layer_are_refused_in_one_line(
    make_clip: MakeClip, profile: int
) -> None:
    path = dolby_clip(make_clip, "dolby.mp4", profile, 0)
    with pytest.raises(SourceError, match=f"Dolby Vision profile {profile}.*7 and 8") as error:
        VideoSource(str(path))
    assert "\n" not in str(error.value)


def test_labels_need_no_exact_colours(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    path = dolby_clip(make_clip, "dolby.mp4", 5, 0)
    with open_source(str(path), exact_colour=False) as source:
        assert len(list(source)) == 3
    assert "Dolby Vision profile 5" in caplog.text


def test_a_video_without_dolby_vision_has_no_profile(make_clip: MakeClip) -> None:
    assert DolbyVision.in_file(make_clip("plain.mp4")) is None
    assert DolbyVision.in_file(make_clip("plain.mkv")) is None


def test_matroska_and_transport_streams_are_read(tmp_path: Path) -> None:
    path = tmp_path / "dolby.bin"
    addition = b"\x41\xe7\x84dvcC\x41\xed\x98" + record(5, 0)
    path.write_bytes(b"\x1a\x45\xdf\xa3" + bytes(200) + addition + bytes(100))
    assert DolbyVision.in_file(path) == DolbyVision(profile=5, base=0)
    descriptors = b"\x05\x04DOVI\xb0\x05" + record(8, 4)[:5]
    path.write_bytes(b"\x47" + bytes(300) + descriptors + bytes(300))
    assert DolbyVision.in_file(path) == DolbyVision(profile=8, base=4)


@pytest.mark.parametrize("length", [0, 3, 8, 40])
def test_truncated_files_cause_no_error(tmp_path: Path, length: int) -> None:
    path = tmp_path / "short"
    path.write_bytes((b"\0\0\0\x20dvcC" + record(5, 0))[:length])
    DolbyVision.in_file(path)

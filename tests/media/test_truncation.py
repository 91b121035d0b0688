"""Detecting truncated files by the sizes that their containers state."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtseg.media.truncation import is_cut_short, whole_length
from tests.support.clips import MakeClip


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
@pytest.mark.parametrize("fragmented", [False, True])
def test_a_file_cut_anywhere_is_recognised(
    make_clip: MakeClip, name: str, fragmented: bool
) -> None:
    how = {"codec": "libvpx-vp9"} if name == "a.webm" else {}
    if fragmented and name in ("a.mp4", "a.mov"):
        how["muxer_options"] = {"movflags": "frag_every_frame+empty_moov"}  # type: ignore[assignment]
    path = make_clip(name, **how)
    assert not is_cut_short(path)
    data = path.read_bytes()
    path.write_bytes(data + b"trailing rubbish that no player minds")
    assert not is_cut_short(path)
    missed = 0
    for length in range(64, len(data), 97):
        path.write_bytes(data[:length])
        missed += not is_cut_short(path)
    # Exactly between two boxes, truncation cannot be detected.
    assert missed <= 1


def test_a_stream_of_unknown_length_counts_as_whole(tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip("live.mkv", muxer_options={"live": "1"})
    path.write_bytes(path.read_bytes()[:-20])
    assert not is_cut_short(path)


def test_the_end_of_the_last_whole_fragment_is_found(make_clip: MakeClip) -> None:
    path = make_clip("f.mp4", muxer_options={"movflags": "frag_every_frame+empty_moov"})
    data = path.read_bytes()
    cut = data.rindex(b"mdat") - 30
    path.write_bytes(data[:cut])
    length = whole_length(path)
    assert length is not None
    assert length <= cut
    path.write_bytes(data[:length])
    assert not is_cut_short(path)


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"\0\0\0\x10ftyp", b"\x1a\x45\xdf\xa3"]))
def test_any_bytes_cause_no_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, head: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(head + data)
    is_cut_short(path)
    whole_length(path)

"""Tags that are not UTF-8, as old cameras and programs write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import av
import pytest

from rtseg.media.tags import readable
from rtseg.sources.video import VideoSource
from tests.support.clips import MakeClip, convert


def with_broken_tags(path: Path) -> Path:
    """Replace an e with the same letter in Latin-1, which is not UTF-8."""
    content = path.read_bytes()
    assert b"Cafe" in content
    path.write_bytes(content.replace(b"Cafe", b"Caf\xe9"))
    return path


def in_lower_case(tags: Mapping[str, str]) -> dict[str, str]:
    """Matroska's names of tags are in upper case."""
    return {key.lower(): value for key, value in tags.items()}


@pytest.fixture(params=["clip.mkv", "clip.mp4"])
def broken(request: pytest.FixtureRequest, make_clip: MakeClip) -> Path:
    return with_broken_tags(
        make_clip(
            request.param,
            metadata={"title": "Cafe", "artist": "Nobody"},
            chapters=[(0, 0.4, "Cafe")],
        )
    )


def test_a_file_with_unreadable_tags_opens(broken: Path) -> None:
    with VideoSource(str(broken), threads=1) as source:
        tags = in_lower_case(source.info.metadata)
        assert tags["title"] == "Caf\ufffd"
        assert tags["artist"] == "Nobody"
        assert [chapter.title for chapter in source.info.chapters] == ["Caf\ufffd"]
        json.dumps(tags, ensure_ascii=False).encode()
        assert len(list(source)) == 12


def test_the_other_tags_are_copied(broken: Path, tmp_path: Path) -> None:
    output = tmp_path / f"out{broken.suffix}"
    convert(broken, output, metadata="keep")
    with av.open(str(output)) as container:
        tags = in_lower_case(container.metadata)
        assert tags["title"] == "Caf\ufffd"
        assert tags["artist"] == "Nobody"


def test_undecodable_bytes_are_replaced() -> None:
    tags = {"title": b"Caf\xe9".decode("utf-8", "surrogateescape"), "artist": "Zo\u00eb"}
    assert readable(tags) == {"title": "Caf\ufffd", "artist": "Zo\u00eb"}
    "".join(readable(tags).values()).encode()

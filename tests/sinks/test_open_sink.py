"""`open_sink` finds the right kind of sink."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtseg.errors import SettingError
from rtseg.settings import EncodeSettings
from rtseg.sinks import open_sink
from rtseg.sinks.images import ImagesSink
from rtseg.sinks.video import VideoSink


@pytest.mark.parametrize("name", ["a.mp4", "A.MKV", "a.mov", "a.webm", "-", "x/y.z/a.mp4"])
def test_videos_are_recognised(name: str) -> None:
    assert isinstance(open_sink(name), VideoSink)


def test_pictures_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for name in ("folder", "out/%06d.png", "folder.d/", str(tmp_path / "folder.mp4")):
        assert isinstance(open_sink(name), ImagesSink), name


@pytest.mark.parametrize("name", ["a.avi", "a.txt", "a.png"])
def test_unsupported_outputs_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match=r"cannot be written; allowed: \.mp4, \.mov, \.mkv"):
        open_sink(name)


def test_an_unsuitable_codec_is_refused_before_anything_is_created(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="`codec`"):
        open_sink(str(tmp_path / "a.webm"), settings=EncodeSettings(codec="hevc"))
    assert list(tmp_path.iterdir()) == []

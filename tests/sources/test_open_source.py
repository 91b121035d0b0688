"""`open_source` chooses the right kind of source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtseg.errors import SettingError, SourceError
from rtseg.frames import Frame
from rtseg.settings import ReadSettings
from rtseg.sources import is_camera, is_images, open_source
from tests.support.clips import MakeClip, picture


def test_a_video_is_opened(make_clip: MakeClip) -> None:
    with open_source(make_clip(), threads=1) as source:
        assert sum(isinstance(item, Frame) for item in source) == 12


def test_a_part_of_a_video_plays_in_real_time_with_sound(make_clip: MakeClip) -> None:
    path = make_clip(audio="aac")
    part = ReadSettings(start=0.2)
    with open_source(path, settings=part, with_streams=True, real_time=True) as source:
        assert source.info.is_live
        assert len(source.info.streams) == 1


def test_images_are_opened(tmp_path: Path) -> None:
    import cv2

    for i in range(2):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.ascontiguousarray(picture(i)[..., ::-1]))
    for location in (tmp_path, tmp_path / "*.png", tmp_path / "%d.png", tmp_path / "1.png"):
        with open_source(location) as source:
            frames = [item for item in source if isinstance(item, Frame)]
        assert len(frames) == (1 if location.name == "1.png" else 2)
        np.testing.assert_array_equal(frames[-1].image, picture(1))


def test_the_synthetic_clip_is_opened() -> None:
    with open_source("synthetic:") as source:
        assert (source.info.width, source.info.height) == (1280, 720)


def test_something_after_synthetic_is_refused() -> None:
    with pytest.raises(SettingError, match="synthetic:car: nothing may follow synthetic:"):
        open_source("synthetic:car")


def test_cameras_and_images_are_recognised(tmp_path: Path) -> None:
    assert is_camera("0")
    assert is_camera("/dev/video0")
    assert not is_camera("0.mp4")
    (tmp_path / "shot[1].mp4").touch()
    assert not is_images(str(tmp_path / "shot[1].mp4"))
    assert is_images(str(tmp_path / "shot*.png"))
    assert not is_images("rtsp://cam/*")
    assert not is_images("-")
    assert not is_images("turning.gif")


def test_a_missing_input_is_reported(tmp_path: Path) -> None:
    for name in ("gone.mp4", "gone.png", "gone"):
        with pytest.raises(SourceError, match="gone"):
            open_source(tmp_path / name)


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, rtseg.sources, rtseg.sinks, rtseg.sources.video, rtseg.sinks.video\n"
        "print([m for m in ('av', 'cv2', 'torch', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

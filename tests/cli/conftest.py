"""Run the command line in this process, as a user would see it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from rtseg.cli import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The single line of the error message."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


Run = Callable[..., Result]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> Result:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert isinstance(stopped.value.code, int)
        return Result(code=stopped.value.code, out=out, err=err)

    return call


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, with no options from the environment."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("RTSEG_"):
            monkeypatch.delenv(name)


FRAME_COUNT = 20
FAST = ("--max-faces", "1", "--end", "0.2")  # five frames of the clip


@pytest.fixture(scope="session")
def portrait_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short clip in which the camera moves over a real face, with sound."""
    from skimage.data import astronaut

    path = tmp_path_factory.mktemp("clips") / "portrait.mp4"
    portrait = astronaut()
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width = video.height = 256
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=48000, layout="mono")
        for index in range(FRAME_COUNT):
            left = 90 + 2 * index
            crop = np.ascontiguousarray(portrait[:256, left : left + 256])
            for packet in video.encode(av.VideoFrame.from_ndarray(crop, format="rgb24")):
                container.mux(packet)
        tone = (np.sin(np.arange(38400) / 20) * 8000).astype(np.int16)
        sound = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = 48000, 0
        for packet in [*video.encode(), *audio.encode(sound), *audio.encode()]:
            container.mux(packet)
    return path

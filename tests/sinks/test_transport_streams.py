"""MPEG-TS and .m4v outputs: every frame at its time, sound in sync."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from rtseg.errors import SettingError
from rtseg.settings import EncodeSettings
from rtseg.sinks import open_sink
from tests.support.clips import MakeClip, convert, frame_times


@pytest.mark.parametrize("suffix", [".ts", ".m4v"])
@pytest.mark.parametrize("codec", ["auto", "hevc"])
def test_frames_and_sound_are_kept(
    make_clip: MakeClip, tmp_path: Path, suffix: str, codec: str
) -> None:
    source = make_clip("in.mp4", ticks=[0, 1, 2, 5, 9, 12, 20, 30], audio="aac")
    out = tmp_path / f"out{suffix}"
    convert(source, str(out), codec=codec)
    for wrote, wanted in zip(frame_times(out), frame_times(source), strict=True):
        assert abs(wrote - wanted) <= Fraction(1, 90000)
    with av.open(str(out)) as container:
        kinds = [(stream.type, stream.codec_context.name) for stream in container.streams]
        assert kinds == [("video", "h264" if codec == "auto" else "hevc"), ("audio", "aac")]
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 0.45 * 48000
        assert container.format.name == ("mpegts" if suffix == ".ts" else "mov,mp4,m4a,3gp,3g2,mj2")


@pytest.mark.parametrize("suffix", [".ts", ".m4v"])
def test_unsupported_codecs_are_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(SettingError, match="cannot hold vp9"):
        open_sink(str(tmp_path / f"out{suffix}"), settings=EncodeSettings(codec="vp9"))

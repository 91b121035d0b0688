"""Files from everyday use, through the whole command: exit codes, messages, outputs."""

from __future__ import annotations

from pathlib import Path

import av

from tests.media.test_dolby_vision import dolby_clip
from tests.reliability.command import start
from tests.support.clips import MakeClip, frame_times
from tests.support.sound import make_sound_clip


def run(*arguments: object) -> tuple[int, str]:
    """Run a command; return its exit code and standard error."""
    process = start("video", *arguments)
    _, errors = process.communicate(timeout=100)
    return process.returncode, errors


def test_a_phone_video_becomes_a_transparent_webm(tmp_path: Path) -> None:
    source = make_sound_clip(tmp_path / "in.mp4", pictures=10, seconds=0.4)
    output = tmp_path / "cut.webm"
    code, errors = run(source, "-o", output, "--view", "cutout")
    assert code == 0, errors
    assert errors.count("converted to Opus") == 1
    assert len(frame_times(output)) == 10
    with av.open(str(output)) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["opus"]


def test_privacy_views_drop_the_location_too(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(
        "in.mp4", ticks=range(4), metadata={"title": "Home", "location": "+48.8577+002.295/"}
    )
    outputs = {}
    for name, options in {
        "blur": ("--view", "blur"),
        "kept": ("--view", "blur", "--metadata", "keep"),
    }.items():
        output = tmp_path / f"{name}.mp4"
        code, errors = run(source, "-o", output, *options)
        assert code == 0, errors
        with av.open(str(output)) as container:
            outputs[name] = "location" in container.metadata or "title" in container.metadata
        assert ("tags are dropped (location" in errors) == (name == "blur")
    assert outputs == {"blur": False, "kept": True}


def test_labels_are_never_refused_because_of_colours(make_clip: MakeClip, tmp_path: Path) -> None:
    source = dolby_clip(make_clip, "dolby.mp4", 5, 0)
    code, errors = run(source, "-o", tmp_path / "out.mp4")
    assert code == 3
    assert errors.count("Dolby Vision profile 5") == 1
    labels, records = tmp_path / "labels.mkv", tmp_path / "faces.jsonl"
    code, errors = run(source, "--labels", labels, "--json", records)
    assert code == 0, errors
    assert len(frame_times(labels)) == 3
    assert len(records.read_text().splitlines()) == 4


def test_a_half_recording_is_reported_as_truncated(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.avi", ticks=range(50))
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    code, errors = run(source, "-o", tmp_path / "out.mp4")
    assert code == 4, errors
    assert "is truncated after" in errors
    assert len(frame_times(tmp_path / "out.mp4")) > 5

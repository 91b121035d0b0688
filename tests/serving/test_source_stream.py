"""Streams with a source and outputs: separate faults, complete files, no gaps."""

from __future__ import annotations

import time
from pathlib import Path

import av
import numpy as np
import pytest

from rtseg.errors import SinkError
from rtseg.frames import Frame
from rtseg.serving.guarded_output import GuardedOutput
from rtseg.serving.stream_server import (
    StreamServer,
)
from rtseg.settings import ViewSettings
from tests.serving.served import frames_in, goes_on, one, wait
from tests.support.clips import make_clip
from tests.support.live_sources import Camera, Kept, disk_full
from tests.support.painted import scene
from tests.support.receivers import free_port, receiving


def test_a_stream_goes_from_its_source_to_its_outputs(
    server: StreamServer, kept: dict[str, list[Kept]], tmp_path: Path
) -> None:
    camera = Camera()
    stream = server.start(one("door", camera, "kept://a", str(tmp_path / "rec" / "door.mkv")))
    wait(lambda: stream.statistics.frames > 5)
    assert (stream.state, stream.reason, stream.faces) == ("live", "", 1)
    assert stream.ages.p95 > 0
    picture = kept["a"][0].pictures[-1]
    assert np.abs(picture.astype(int) - camera.image).max() > 10, "it is drawn upon"
    server.stop("door")
    assert stream.join(10)
    assert stream.state == "stopped"
    assert kept["a"][0].outcome == "finished"
    assert frames_in(tmp_path / "rec" / "door.mkv") == stream.statistics.frames
    assert [path.name for path in (tmp_path / "rec").iterdir()] == ["door.mkv"]


def test_each_has_its_own_view_and_faces(server: StreamServer, kept: dict[str, list[Kept]]) -> None:
    server.start(one("a", Camera(x=90), "kept://a", view=ViewSettings(view="mask")))
    server.start(one("b", Camera(x=230), "kept://b"))
    wait(lambda: "a" in kept and "b" in kept and kept["a"][0].pictures and kept["b"][0].pictures)
    mask, overlay = kept["a"][0].pictures[-1], kept["b"][0].pictures[-1]
    assert (mask[:, 200:] == mask[0, -1]).all()
    assert not np.array_equal(overlay[:, 200:], np.broadcast_to(overlay[0, -1], (240, 120, 3)))


def test_a_recording_never_replaces_another(server: StreamServer, tmp_path: Path) -> None:
    (tmp_path / "door.mkv").write_text("yesterday's")
    for _ in range(2):
        stream = server.start(one("door", Camera(), str(tmp_path / "door.mkv")))
        goes_on(stream)
        server.stop("door")
        assert stream.join(10)
    assert (tmp_path / "door.mkv").read_text() == "yesterday's"
    assert frames_in(tmp_path / "door-2.mkv") > 3
    assert frames_in(tmp_path / "door-3.mkv") > 3


def test_a_recording_in_a_folder_is_named_after_the_stream(
    server: StreamServer, tmp_path: Path
) -> None:
    stream = server.start(one("door", Camera(), f"{tmp_path}/"))
    goes_on(stream)
    server.close()
    (file,) = tmp_path.iterdir()
    assert file.stem == "door"
    assert frames_in(file) > 3


@pytest.mark.parametrize("fault", ["gone", "stalls", "never there", "a bug"])
def test_a_failing_camera_affects_no_other_stream(
    server: StreamServer, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    good, bad = Camera(), Camera()
    if fault == "never there":
        bad.is_there.clear()
    fine = server.start(one("fine", good))
    broken = server.start(one("broken", bad))
    goes_on(fine)
    if fault == "gone":
        goes_on(broken)
        bad.is_there.clear()
        wait(lambda: broken.state == "waiting")
        assert broken.reason in ("a drawn camera: has gone", "a drawn camera: is not there")
    elif fault == "never there":
        wait(lambda: broken.state == "waiting")
        assert broken.reason == "a drawn camera: is not there"
    elif fault == "stalls":
        goes_on(broken)
        bad.stalls.set()
    else:
        goes_on(broken)
        bad.has_bug = True
        wait(lambda: broken.state == "waiting")
        assert "a bug" in broken.reason
        assert "Traceback" in caplog.text
    goes_on(fine)
    assert (fine.state, fine.starts) == ("live", 1)
    # and it returns
    bad.has_bug = False
    bad.stalls.clear()
    bad.is_there.set()
    wait(lambda: broken.state == "live")
    goes_on(broken)
    assert broken.reason == ""
    goes_on(fine)


@pytest.mark.parametrize("error", [disk_full(), ZeroDivisionError("0")])
def test_a_failing_output_affects_no_other_and_is_reopened(
    server: StreamServer, kept: dict[str, list[Kept]], error: Exception
) -> None:
    stream = server.start(one("door", Camera(), "kept://a", "kept://b"))
    other = server.start(one("yard", Camera(), "kept://c"))
    goes_on(stream)
    kept["a"][0].fails_with = error
    wait(lambda: len(kept["a"]) > 1 and kept["a"][1].pictures)
    assert kept["a"][0].outcome == "failed"
    assert stream.outputs[0].failures == 1
    assert stream.outputs[0].error == "", "it works again"
    goes_on(stream)
    goes_on(other)
    assert (stream.starts, other.starts) == (1, 1)
    assert len(kept["b"]) == len(kept["c"]) == 1


def test_an_impossible_output_is_reported_and_the_others_continue(
    server: StreamServer, kept: dict[str, list[Kept]], tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    stream = server.start(one("door", Camera(), str(blocked / "door.mkv"), "kept://a"))
    goes_on(stream)
    assert stream.outputs[0].error
    assert stream.outputs[1].error == ""
    assert kept["a"][0].pictures


def test_a_slow_output_delays_only_its_own_stream(
    server: StreamServer, kept: dict[str, list[Kept]]
) -> None:
    slow = server.start(one("slow", Camera(), "kept://slow"))
    fast = server.start(one("fast", Camera(), "kept://fast"))
    goes_on(slow)
    kept["slow"][0].seconds = 0.4
    wait(lambda: slow.ages.p95 > 300)
    before = slow.statistics.frames, fast.statistics.frames
    began = time.monotonic()
    time.sleep(1.2)
    passed = time.monotonic() - began
    written = slow.statistics.frames - before[0], fast.statistics.frames - before[1]
    assert written[0] <= passed / 0.4 + 1
    assert written[1] > 3 * written[0]
    assert slow.statistics.dropped > 10, "what came too late gave way"


def test_turns_are_fair(server: StreamServer) -> None:
    """Under overload all streams get equal shares."""
    streams = [server.start(one(f"s{i}", Camera(rate=200), view=ViewSettings())) for i in range(5)]
    for stream in streams:
        goes_on(stream)
    before = [stream.statistics.frames for stream in streams]
    time.sleep(2.0)
    written = [s.statistics.frames - b for s, b in zip(streams, before, strict=True)]
    assert min(written) > 0.6 * max(written), written


def test_simultaneous_requests_form_one_batch(server: StreamServer) -> None:
    for i in range(4):
        goes_on(server.start(one(f"s{i}", Camera(rate=200))))
    wait(lambda: server.backend.crops > server.backend.batches)


def test_the_end_of_a_file_is_reported(server: StreamServer, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    images = [scene(240, 320, (160, 120, 160))[0]] * 12
    make_clip(clip, ticks=range(12), images=images)
    stream = server.start(one("clip", str(clip), str(tmp_path / "out.mkv")))
    wait(lambda: stream.state == "ended")
    assert stream.reason == "its source has ended"
    assert frames_in(tmp_path / "out.mkv") > 0
    missing = server.start(one("gone", str(tmp_path / "none.mp4")))
    wait(lambda: missing.state == "waiting")
    assert "none.mp4" in missing.reason


def test_an_invalid_setting_is_not_retried(server: StreamServer) -> None:
    stream = server.start(one("door", Camera(), view=ViewSettings(classes=("nosee",))))
    wait(lambda: stream.state == "failed")
    assert "nosee" in stream.reason


def test_a_failed_output_waits_longer_each_time() -> None:
    now = [0.0]
    made: list[Kept] = []

    def make() -> Kept:
        made.append(Kept())
        made[-1].fails_with = SinkError("kept: no")
        return made[-1]

    output = GuardedOutput("door", "kept", make, clock=lambda: now[0])
    info = Camera()().info
    output.open(info, width=320, height=240)
    frame = Frame(image=Camera().image, index=0, pts=0, time_base=info.time_base)
    attempts = []
    for second in range(400):
        now[0] = float(second)
        before = len(made)
        output.write(frame, None, frame.image)  # type: ignore[arg-type]
        if len(made) > before:
            attempts.append(second)
    gaps = np.diff([0, *attempts])
    assert list(gaps[:5]) == [5, 10, 20, 40, 60]
    assert set(gaps[4:]) == {60}
    assert not output.is_wanted
    assert all(sink.outcome == "failed" for sink in made)


def test_a_network_output_gets_sound_and_a_recording_does_not(
    server: StreamServer, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    images = [scene(240, 320, (160, 120, 160))[0]] * 40
    make_clip(clip, ticks=range(40), images=images, audio="aac", audio_seconds=1.6)
    url = f"tcp://127.0.0.1:{free_port()}"
    with receiving(url) as received:
        stream = server.start(one("clip", str(clip), url, str(tmp_path / "out.mkv")))
        wait(lambda: stream.state == "ended")
    assert received.streams == ["h264", "aac"]
    assert len(received.times) > 5
    assert len(received.sound) > 20
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert [recorded.type for recorded in file.streams] == ["video"]


def test_a_missing_virtual_camera_is_reported(
    server: StreamServer, kept: dict[str, list[Kept]]
) -> None:
    stream = server.start(one("door", Camera(), "virtual-camera:/dev/none", "kept://a"))
    wait(lambda: stream.outputs)
    wait(lambda: stream.outputs[0].error)
    assert stream.outputs[0].name == "virtual-camera:/dev/none"
    goes_on(stream)

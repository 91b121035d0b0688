"""Streams of one server have their own faces, a fair share, and a virtual camera each.

The virtual cameras are fakes behind pyvirtualcam's interface: a real one needs a driver.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtseg.segmenter import Segmenter
from rtseg.serving.stream_server import StreamServer
from rtseg.settings import FaceSettings, VirtualCameraSettings
from tests.serving.served import goes_on, one, wait
from tests.sinks.test_virtual_camera import Device
from tests.sinks.test_virtual_camera import device as device
from tests.support.live_sources import Camera, Kept
from tests.support.painted import scene


def two_heads() -> Camera:
    camera = Camera()
    camera.image = scene(240, 320, (80, 120, 120), (240, 120, 120))[0]
    return camera


def test_each_stream_tracks_its_own_faces(server: StreamServer, tmp_path: Path) -> None:
    """The same camera twice, with one face and with two: each counts its faces from 1."""
    for name, most in (("single", 1), ("pair", 2)):
        server.start(
            one(
                name,
                two_heads(),
                records=str(tmp_path / f"{name}.jsonl"),
                faces=FaceSettings(max_faces=most),
            )
        )
    for stream in server.started:
        wait(lambda stream=stream: stream.faces == (1 if stream.name == "single" else 2))
        goes_on(stream)
    server.close()
    for name, expected in (("single", {1}), ("pair", {1, 2})):
        lines = (tmp_path / f"{name}.jsonl").read_text().splitlines()
        last = json.loads(lines[-1])
        assert {face["track"] for face in last["faces"]} == expected, name


def test_each_stream_has_its_own_segmenter_and_smoothing(
    server: StreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Segmenter] = []
    smoothing: list[float] = []

    class Noted(Segmenter):
        def __init__(self, *, faces: FaceSettings, **more: Any) -> None:
            super().__init__(faces=faces, **more)
            made.append(self)
            smoothing.append(faces.smoothing)

    monkeypatch.setattr("rtseg.serving.stream_server.Segmenter", Noted)
    for name, strength in (("plain", 0.0), ("calm", 1.0)):
        goes_on(server.start(one(name, Camera(), faces=FaceSettings(smoothing=strength))))
    assert smoothing == [0.0, 1.0]
    assert made[0] is not made[1]
    assert {segmenter.backend for segmenter in made} == {server.backend}


def test_no_stream_starves_under_overload(server: StreamServer) -> None:
    """No stream's pictures are more than half as old again as those of all on average."""
    streams = [server.start(one(f"s{i}", Camera(rate=120))) for i in range(6)]
    for stream in streams:
        goes_on(stream)
    time.sleep(2.0)
    ages = [stream.ages.mean for stream in streams]
    assert min(ages) > 0
    assert max(ages) < 1.5 * np.mean(ages), ages


def test_a_stream_is_a_virtual_camera(
    server: StreamServer, kept: dict[str, list[Kept]], device: type[Device]
) -> None:
    stream = server.start(
        one(
            "door",
            Camera(x=90),
            "virtual-camera:/dev/fake",
            "kept://a",
            virtual=VirtualCameraSettings(mirror=True, virtual_camera_fps=50),
        )
    )
    goes_on(stream)
    (camera,) = device.made
    assert camera.device() == "/dev/fake"
    assert camera.size == (320, 240)
    wait(lambda: len(camera.sent) > 3 and camera.sent[-1][1].any())
    assert np.array_equal(camera.sent[-1][1], kept["a"][0].pictures[-1][:, ::-1])

    camera.fail = True  # unplugged: it is opened again, and the other output never stops
    wait(lambda: stream.outputs[0].failures)
    wait(lambda: len(device.made) > 1 and len(device.made[-1].sent) > 3)
    goes_on(stream)
    assert camera.is_closed
    assert len(kept["a"]) == 1
    assert stream.starts == 1
    server.close()
    assert device.made[-1].is_closed


def test_a_virtual_camera_that_hangs_delays_nothing(
    server: StreamServer, kept: dict[str, list[Kept]], device: type[Device]
) -> None:
    stream = server.start(one("door", Camera(), "virtual-camera", "kept://a"))
    other = server.start(one("yard", Camera(), "kept://b"))
    goes_on(stream)
    (camera,) = device.made
    camera.hold.clear()
    goes_on(stream)
    goes_on(other)
    camera.hold.set()


@pytest.mark.usefixtures("device")
def test_two_streams_are_two_virtual_cameras(server: StreamServer, device: type[Device]) -> None:
    for name in ("a", "b"):
        goes_on(server.start(one(name, Camera(), f"virtual-camera:/dev/{name}")))
    assert sorted(camera.device() for camera in device.made) == ["/dev/a", "/dev/b"]

"""What is requested from a camera and what it reports, with a fake of OpenCV's device."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from rtseg.settings import CameraSettings
from rtseg.sources import camera_process
from rtseg.sources.camera import Negotiated
from rtseg.sources.camera_process import CaptureError, open_capture

NAMES = {
    getattr(cv2, f"CAP_PROP_{name}"): name
    for name in ("FOURCC", "FRAME_WIDTH", "FRAME_HEIGHT", "FPS", "BUFFERSIZE")
}


class FakeVideoCapture:
    """A webcam as V4L2 presents it: any size in MJPG, only the small one in YUYV."""

    opened: FakeVideoCapture

    def __init__(self, device: int | str, backend: int) -> None:
        FakeVideoCapture.opened = self
        self.device, self.backend = device, backend
        self.asked: list[tuple[str, float]] = []
        self.given = {"FOURCC": code("YUYV"), "FRAME_WIDTH": 640.0, "FRAME_HEIGHT": 480.0}
        self.given |= {"FPS": 15.0, "BUFFERSIZE": 4.0}
        self.is_released = False

    def isOpened(self) -> bool:
        return True

    def set(self, number: int, value: float) -> bool:
        name = NAMES[number]
        self.asked.append((name, value))
        if name == "FOURCC" and value not in (code("MJPG"), code("YUYV")):
            return False
        if name.startswith("FRAME_") and self.given["FOURCC"] != code("MJPG"):
            return False
        if name == "FPS":
            value = min(value, 30.0)
        self.given[name] = value
        return True

    def get(self, number: int) -> float:
        return self.given[NAMES[number]]

    def read(self) -> tuple[bool, Any]:
        size = int(self.given["FRAME_HEIGHT"]), int(self.given["FRAME_WIDTH"])
        return True, np.zeros((*size, 3), np.uint8)

    def release(self) -> None:
        self.is_released = True


def code(letters: str) -> float:
    return float(cv2.VideoWriter.fourcc(*letters))


@pytest.fixture(autouse=True)
def _fake_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeVideoCapture)
    monkeypatch.setattr(camera_process, "_check_node", lambda _node: None)
    # So that changes made while opening are undone.
    monkeypatch.setenv("OPENCV_LOG_LEVEL", "")
    monkeypatch.setenv("OPENCV_FFMPEG_LOGLEVEL", "")


def negotiated(settings: CameraSettings) -> Negotiated:
    reader = open_capture(0, settings)
    _, picture = reader.read()
    return Negotiated(
        name="camera 0",
        requested=settings,
        width=picture.shape[1],
        height=picture.shape[0],
        fps=reader.fps,
        fourcc=reader.fourcc,
    )


def test_the_format_is_requested_first_because_it_decides_the_sizes() -> None:
    result = negotiated(CameraSettings(width=1920, height=1080, fps=30))
    device = FakeVideoCapture.opened
    assert device.asked == [
        ("FOURCC", code("MJPG")),
        ("FRAME_WIDTH", 1920),
        ("FRAME_HEIGHT", 1080),
        ("FPS", 30.0),
        ("BUFFERSIZE", 1),
    ]
    assert result.describe() == "camera 0: 1920x1080 at 30 fps MJPG, as requested"


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        (CameraSettings(fps=60), "1280x720 at 60 fps MJPG, got 1280x720 at 30 fps MJPG"),
        (CameraSettings(fourcc="yuyv"), "1280x720 at 30 fps yuyv, got 640x480 at 30 fps YUYV"),
        (CameraSettings(fourcc="H264"), "1280x720 at 30 fps H264, got 640x480 at 30 fps YUYV"),
    ],
)
def test_the_delivered_format_is_shown_beside_the_requested_one(
    settings: CameraSettings, given: str
) -> None:
    assert negotiated(settings).describe() == f"camera 0: asked for {given}"


@pytest.mark.parametrize("fps", [0.0, -1.0, 1e9, float("nan")])
def test_an_implausible_rate_is_ignored(monkeypatch: pytest.MonkeyPatch, fps: float) -> None:
    get = FakeVideoCapture.get
    monkeypatch.setattr(
        FakeVideoCapture,
        "get",
        lambda self, number: fps if NAMES[number] == "FPS" else get(self, number),
    )
    result = negotiated(CameraSettings())
    assert result.fps == 0.0
    assert result.describe() == ("camera 0: asked for 1280x720 at 30 fps MJPG, got 1280x720 MJPG")


@pytest.mark.parametrize("number", [0, -1, 0x01020304])
def test_an_invalid_format_is_ignored(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    get = FakeVideoCapture.get
    monkeypatch.setattr(
        FakeVideoCapture,
        "get",
        lambda self, name: float(number) if NAMES[name] == "FOURCC" else get(self, name),
    )
    assert negotiated(CameraSettings()).fourcc == ""


def test_a_busy_camera_may_be_retried_and_a_missing_one_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeVideoCapture, "isOpened", lambda _self: False)
    with pytest.raises(CaptureError, match="another program may be using it") as caught:
        open_capture(0, CameraSettings())
    assert caught.value.may_return

    def missing(_node: object) -> None:
        raise CaptureError("there is no such camera")

    monkeypatch.setattr(camera_process, "_check_node", missing)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(CaptureError, match="no such camera") as caught:
        open_capture(0, CameraSettings())
    assert not caught.value.may_return

"""The virtual camera, with a fake backend registered in pyvirtualcam, and with a real device."""

from __future__ import annotations

import glob
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import pyvirtualcam

from rtseg.errors import SettingError, SinkError
from rtseg.settings import VirtualCameraSettings
from rtseg.sinks.virtual_camera import MODPROBE, VirtualCameraSink, remedy
from rtseg.system.device_readers import DeviceReaders
from tests.sinks.drawn import HEIGHT, WIDTH, info, item


class Device:
    """A backend in pyvirtualcam's form that keeps the pictures sent to it."""

    made: ClassVar[list[Device]] = []
    path = ""

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: Any) -> None:
        if device == "busy":
            raise RuntimeError("Device busy: busy")
        self.size = (width, height)
        self.sent: list[tuple[float, np.ndarray]] = []
        self.is_closed = False
        self.hold = threading.Event()
        self.hold.set()
        self.fail = False
        self._device = device or self.path or "fake camera"
        Device.made.append(self)

    def send(self, frame: np.ndarray) -> None:
        assert not self.is_closed
        self.hold.wait(10)
        if self.fail:
            raise RuntimeError("unplugged")
        width, height = self.size
        self.sent.append((time.monotonic(), frame.reshape(height, width, 3).copy()))

    def close(self) -> None:
        self.is_closed = True

    def device(self) -> str:
        return self._device

    def native_fourcc(self) -> int | None:
        return None


@pytest.fixture
def device() -> Iterator[type[Device]]:
    from pyvirtualcam import camera

    before = dict(camera.BACKENDS)
    camera.BACKENDS.clear()
    pyvirtualcam.register_backend("fake", Device)
    Device.made, Device.path = [], ""
    yield Device
    camera.BACKENDS.clear()
    camera.BACKENDS.update(before)


def opened(settings: VirtualCameraSettings | None = None) -> tuple[VirtualCameraSink, Device]:
    sink = VirtualCameraSink(settings=settings)
    sink.open(info(), width=WIDTH, height=HEIGHT)
    return sink, Device.made[-1]


def wait(until: Any, *, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.usefixtures("device")
def test_the_newest_picture_is_shown_at_a_steady_rate() -> None:
    """Even if pictures arrive faster, more slowly or not at all."""
    sink, camera = opened(VirtualCameraSettings(virtual_camera_fps=50))
    assert camera.size == (WIDTH, HEIGHT)
    wait(lambda: camera.sent)
    assert not camera.sent[0][1].any(), "black before the first"
    frame, segmentation, picture = item(0)
    for index in range(300):
        frame, segmentation, picture = item(index)
        sink.write(frame, segmentation, picture)
    written = time.monotonic()
    count = len(camera.sent)
    wait(lambda: len(camera.sent) > count + 20)
    took = time.monotonic() - written
    assert took > 0.3, "no faster than it was asked"
    assert len(camera.sent) < 300, "what came faster gave way"
    assert np.array_equal(camera.sent[-1][1], picture), "the last goes on being shown"
    sink.close("finished")
    assert camera.is_closed
    assert sink.describe() == "fake camera"


@pytest.mark.usefixtures("device")
def test_pictures_are_mirrored_and_lose_transparency() -> None:
    sink, camera = opened(VirtualCameraSettings(mirror=True))
    frame, segmentation, picture = item(3, channels=4)
    sink.write(frame, segmentation, picture)
    wait(lambda: camera.sent and camera.sent[-1][1].any())
    assert np.array_equal(camera.sent[-1][1], picture[:, ::-1, :3])
    sink.close("finished")


@pytest.mark.usefixtures("device")
def test_a_hanging_driver_blocks_nothing() -> None:
    sink, camera = opened()
    camera.hold.clear()
    time.sleep(0.1)
    begun = time.monotonic()
    for index in range(20):
        sink.write(*item(index))
    sink.close("finished")
    assert time.monotonic() - begun < 4
    camera.hold.set()


@pytest.mark.usefixtures("device")
def test_a_failing_device_ends_the_run() -> None:
    sink, camera = opened()
    camera.fail = True
    wait(lambda: sink._error is not None)
    with pytest.raises(SinkError, match="accepts no more pictures: unplugged"):
        sink.write(*item(0))
    sink.close("failed")


@pytest.mark.usefixtures("device")
def test_a_missing_device_says_what_to_do() -> None:
    sink = VirtualCameraSink("busy")
    with pytest.raises(SinkError, match=r"busy: cannot be a camera: .*Device busy") as caught:
        sink.open(info(), width=WIDTH, height=HEIGHT)
    sink.close("failed")
    assert "\n" not in str(caught.value)
    assert remedy() in str(caught.value)
    if sys.platform.startswith("linux"):
        assert MODPROBE in str(caught.value)
        assert "exclusive_caps=1" in MODPROBE


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    sink = VirtualCameraSink()
    with pytest.raises(SettingError, match=r"pip install 'rtseg\[virtual-camera\]'"):
        sink.open(info(), width=WIDTH, height=HEIGHT)
    sink.close("failed")


needs_inotify = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux tells who reads"
)


@needs_inotify
def test_programs_reading_the_device_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "video10"
    path.write_bytes(b"")
    with path.open("rb"):  # the producer's own
        readers = DeviceReaders(str(path))
        assert readers.count == 0
        with path.open("rb"):
            assert readers.count == 1
            with path.open("rb"):
                assert readers.count == 2
            assert readers.count == 1
        assert readers.count == 0
    assert readers.count == 0, "who was there before is not counted"
    readers.close()
    readers.close()
    assert readers.count is None
    assert DeviceReaders(str(tmp_path / "none")).count is None


@needs_inotify
def test_the_run_rests_without_readers(device: type[Device], tmp_path: Path) -> None:
    path = tmp_path / "video10"
    path.write_bytes(b"")
    device.path = str(path)
    sink, _ = opened()
    assert not sink.is_wanted
    with path.open("rb"):
        assert sink.is_wanted
    assert not sink.is_wanted
    sink.close("finished")


@pytest.mark.usefixtures("device")
def test_it_always_runs_where_readers_are_unknown() -> None:
    sink, _ = opened()
    assert sink.is_wanted
    sink.close("finished")


def test_a_real_loopback_device_works() -> None:
    """`sudo modprobe v4l2loopback …` creates one; its pictures are read back with OpenCV."""
    names = [
        Path(path)
        for path in glob.glob("/sys/devices/virtual/video4linux/video*/name")  # noqa: PTH207
    ]
    if not names:
        pytest.skip("no v4l2loopback device")
    import cv2

    node = f"/dev/{names[0].parent.name}"
    sink = VirtualCameraSink(node)
    sink.open(info(width=320, height=240), width=320, height=240)
    try:
        frame, segmentation, _ = item(0)
        picture = np.full((240, 320, 3), (200, 60, 40), np.uint8)
        sink.write(frame, segmentation, picture)
        reader = cv2.VideoCapture(node)
        wait(lambda: reader.read()[0])
        for _ in range(10):
            has_picture, shown = reader.read()
        assert has_picture
        assert np.abs(shown[120, 160, ::-1].astype(int) - (200, 60, 40)).max() < 12
        assert sink.is_wanted
        reader.release()
    finally:
        sink.close("finished")

"""Offer the rendered picture to other programs as a camera, through pyvirtualcam."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.errors import SettingError, SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.settings import VirtualCameraSettings
from rtseg.sinks.base import Outcome, Sink
from rtseg.system.device_readers import DeviceReaders

if TYPE_CHECKING:
    import pyvirtualcam

MODPROBE = 'sudo modprobe v4l2loopback devices=1 video_nr=10 card_label="rtseg" exclusive_caps=1'
"""Chromium lists only devices with exclusive_caps=1."""

_JOIN_SECONDS = 2.0


def remedy() -> str:
    """Say how to enable virtual cameras on this system."""
    if sys.platform.startswith("linux"):
        return f"apt-get install v4l2loopback-dkms, then: {MODPROBE}"
    return "install OBS Studio (obsproject.com), start its virtual camera once, then close it"


class VirtualCameraSink(Sink):
    """A camera that other programs can select. It shows the newest picture at a steady rate.

    A separate thread sends pictures to the device, since a driver may block, and a camera must keep
    showing its last picture while no new one arrives. On Linux the network pauses while no program
    has the camera open.

    Args:
        device: a path or name; by default the first free one.
        settings: rate, mirroring.
        backend: pyvirtualcam's name (`v4l2loopback`, `obs` …); by default the first that works.
    """

    wants_pixels = True
    wants_real_time = True

    def __init__(
        self,
        device: str | None = None,
        *,
        settings: VirtualCameraSettings | None = None,
        backend: str | None = None,
    ) -> None:
        self._wanted_device = device
        self._settings = settings or VirtualCameraSettings()
        self._backend = backend
        self._camera: pyvirtualcam.Camera | None = None
        self._readers: DeviceReaders | None = None
        self._name = device or "virtual camera"
        self._newest: Picture | None = None
        self._over = threading.Event()
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Open the camera device. See `Sink.open`.

        Raises:
            SettingError: pyvirtualcam is not installed.
            SinkError: there is no such device, or no free one; the message says what to do.
        """
        try:
            import pyvirtualcam
        except ImportError:
            raise SettingError(
                "`virtual_camera`: pyvirtualcam is not installed; "
                "pip install 'rtseg[virtual-camera]'"
            ) from None
        try:
            self._camera = pyvirtualcam.Camera(
                width,
                height,
                self._settings.virtual_camera_fps,
                device=self._wanted_device,
                backend=self._backend,
            )
        except (RuntimeError, KeyError, OSError, ValueError) as error:
            reasons = "; ".join(str(error).split("\n"))
            raise SinkError(f"{self._name}: cannot be a camera: {reasons}; {remedy()}") from None
        self._name = str(self._camera.device)
        self._readers = DeviceReaders(self._name)
        # A running camera must show a picture at once: black until the first arrives.
        self._newest = np.zeros((height, width, 3), np.uint8)
        self._thread = threading.Thread(
            target=self._send, args=(self._camera,), name="rtseg-virtual-camera", daemon=True
        )
        self._thread.start()

    @property
    def is_wanted(self) -> bool:  # type: ignore[override]
        """Whether a program has the camera open; True if that is unknown."""
        return self._readers is None or self._readers.count != 0

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Show this picture from now on. See `Sink.write`."""
        if picture is None:
            raise SinkError(f"{self._name}: needs the rendered view, and was given none")
        if self._error is not None:
            raise SinkError(f"{self._name}: accepts no more pictures: {self._error}")
        picture = picture[..., :3]
        self._newest = np.ascontiguousarray(picture[:, ::-1] if self._settings.mirror else picture)

    def close(self, outcome: Outcome) -> None:
        """Release the device."""
        self._over.set()
        if self._readers is not None:
            self._readers.close()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_JOIN_SECONDS)
            if thread.is_alive():
                return  # stuck in a driver; the device disappears when the process exits
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def describe(self) -> str:
        """The camera's name."""
        return self._name

    def _send(self, camera: Any) -> None:
        interval = 1 / self._settings.virtual_camera_fps
        due = time.monotonic()
        while not self._over.is_set():
            try:
                camera.send(self._newest)
            except Exception as error:  # noqa: BLE001  backends raise anything; `write` reports it
                self._error = error
                return
            due = max(due + interval, time.monotonic())
            self._over.wait(due - time.monotonic())

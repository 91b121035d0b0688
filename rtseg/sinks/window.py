"""A window on the desktop, by OpenCV: shows each picture and turns keys into events."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from rtseg.errors import DisplayError, SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Event, Outcome, Sink

KEYS: Mapping[int, Event] = MappingProxyType(
    {
        ord("q"): "quit",
        27: "quit",
        ord(" "): "pause",
        ord("s"): "snapshot",
        ord("v"): "next-view",
        ord("+"): "more-opacity",
        ord("="): "more-opacity",
        ord("-"): "less-opacity",
        ord("_"): "less-opacity",
        ord("h"): "hud",
        ord("l"): "legend",
        ord("r"): "record",
        ord("?"): "help",
    }
)
"""What each key asks for; letters count in either case, and `=` is `+` without Shift."""

LARGEST = (1600, 900)
"""A window opens no larger than this, (width, height) in pixels; it can be dragged to any size."""

_KEYS_A_POLL = 16


class WindowSink(Sink):
    """Shows pictures. Everything happens on the thread that calls, which must be the main one.

    Args:
        title: what the window's bar says, and OpenCV's name of the window.
    """

    wants_pixels = True
    has_alpha = False

    def __init__(self, title: str) -> None:
        self._title = title
        self._is_open = False
        self._is_shown = False

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Open the window.

        Raises:
            DisplayError: there is no display, or this OpenCV was built without windows.
        """
        check_display()
        import cv2

        # The wheels' Qt complains of fonts that it does not need: there is no text of its own.
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
        try:
            cv2.namedWindow(self._title, flags)
        except cv2.error as error:
            raise DisplayError(
                f"a window cannot be opened: {error.err}; use --no-display with -o OUTPUT"
            ) from None
        self._is_open = True
        scale = min(1.0, LARGEST[0] / width, LARGEST[1] / height)
        cv2.resizeWindow(self._title, max(1, round(width * scale)), max(1, round(height * scale)))

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Show the frame's view. See `Sink.write`."""
        if picture is None:
            raise SinkError("a window needs the rendered view, and was given none")
        self.show(picture)

    def show(self, picture: Picture) -> None:
        """Show any picture: RGB here, BGR in the window."""
        import cv2

        if not self._is_open or self._was_closed():
            return
        code = cv2.COLOR_RGBA2BGR if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
        cv2.imshow(self._title, np.asarray(cv2.cvtColor(picture, code), np.uint8))
        self._is_shown = True

    def poll(self) -> tuple[Event, ...]:
        """Let the window live (a millisecond or so), and say what was pressed since the last call.

        Its close button quits.
        """
        import cv2

        if not self._is_open:
            return ()
        events: list[Event] = []
        for _ in range(_KEYS_A_POLL):
            key = cv2.waitKey(1)
            if key < 0:
                break
            event = key_event(key)
            if event is not None:
                events.append(event)
        if self._was_closed():
            self._is_open = False
            events.append("quit")
        return tuple(events)

    def _was_closed(self) -> bool:
        """Whether a person closed the window; it counts as there until it was first shown."""
        import cv2

        if not self._is_shown:
            return False
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:  # GTK's builds raise for a window that is gone
            return True

    def close(self, outcome: Outcome) -> None:
        """Close the window."""
        if not self._is_open:
            return
        import cv2

        self._is_open = False
        if not self._was_closed():
            cv2.destroyWindow(self._title)
            cv2.waitKey(1)  # the window system takes it away only when it is asked


def key_event(key: int) -> Event | None:
    """What a key of OpenCV's `waitKey` asks for, or None; modifiers are left out."""
    low = key & 0xFF
    return KEYS.get(ord(chr(low).lower()))


def check_display() -> None:
    """Make sure that a window can be opened. OpenCV's toolkit would abort the whole process.

    Raises:
        DisplayError: it cannot, and what to do.
    """
    import cv2

    if sys.platform.startswith("linux"):
        _check_linux()
        _check_libraries(Path(cv2.__file__).resolve().parent.parent)
    if not getattr(cv2, "currentUIFramework", lambda: "unknown")():
        raise DisplayError(
            "this OpenCV was built without windows (opencv-python-headless?); "
            "install opencv-python, or use --no-display with -o OUTPUT"
        )


def _check_linux() -> None:
    display = os.environ.get("DISPLAY")
    if os.environ.get("QT_QPA_PLATFORM", "xcb").split(":")[0] in ("offscreen", "minimal", "vnc"):
        return
    if not display:
        wayland = os.environ.get("WAYLAND_DISPLAY")
        found = (
            "only Wayland is there, and OpenCV needs X11 (DISPLAY is not set)"
            if wayland
            else "neither DISPLAY nor WAYLAND_DISPLAY is set"
        )
        advice = "install XWayland" if wayland else "run it on a desktop"
        raise DisplayError(f"no display: {found}; {advice}, or use --no-display with -o OUTPUT")
    if _answers(display) is False:
        raise DisplayError(
            f"no display: DISPLAY is {display!r}, and no X server there lets this user in; "
            "check DISPLAY and xauth, or use --no-display with -o OUTPUT"
        )


def _check_libraries(packages: Path) -> None:
    """Refuse to open a window that would hang for ever, because of which library came first.

    The wheels of PyAV and of OpenCV bring X11 libraries of the same name, and a process has only
    the first of two. OpenCV's toolkit spins on PyAV's (opencv#29195); PyAV is well with OpenCV's.
    """
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return
    ours = packages / "opencv_python.libs"
    loaded = {Path(line.split(maxsplit=5)[-1]) for line in maps.read_text().splitlines()}
    for library in loaded:
        clashes = library.name.startswith("libxcb") and (ours / library.name).exists()
        if clashes and library.parent != ours:
            raise DisplayError(
                "a window would hang: PyAV was imported before OpenCV, and its X11 libraries took "
                "the place of OpenCV's; import cv2 before av, or use --no-display with -o OUTPUT"
            )


def _answers(display: str) -> bool | None:
    """Whether an X server opens `display` to us; None where libX11 is not here to ask."""
    import ctypes

    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return None
    x11.XOpenDisplay.argtypes = [ctypes.c_char_p]
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    connection = x11.XOpenDisplay(display.encode())
    if not connection:
        return False
    x11.XCloseDisplay(connection)
    return True

"""A desktop window, through OpenCV, that shows each picture and turns keys into events."""

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
"""The action of each key; letters in either case, and `=` is `+` without Shift."""

LARGEST = (1600, 900)
"""The largest initial size of a window, (width, height) in pixels; it can be resized freely."""

_KEYS_A_POLL = 16


class WindowSink(Sink):
    """Shows pictures. All methods must be called on the main thread.

    Args:
        title: the window's title, which is also OpenCV's name for it.
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

        # The wheels' Qt complains about missing fonts that it does not need.
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
        """Show any RGB picture."""
        import cv2

        if not self._is_open or self._was_closed():
            return
        code = cv2.COLOR_RGBA2BGR if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
        cv2.imshow(self._title, np.asarray(cv2.cvtColor(picture, code), np.uint8))
        self._is_shown = True

    def poll(self) -> tuple[Event, ...]:
        """Process window events for about a millisecond; return the actions of pressed keys.

        The window's close button counts as `quit`.
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
        """Whether the user closed the window; False until it was first shown."""
        import cv2

        if not self._is_shown:
            return False
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:  # GTK builds raise for a closed window
            return True

    def close(self, outcome: Outcome) -> None:
        """Close the window."""
        if not self._is_open:
            return
        import cv2

        self._is_open = False
        if not self._was_closed():
            cv2.destroyWindow(self._title)
            cv2.waitKey(1)  # the window disappears only when events are processed


def key_event(key: int) -> Event | None:
    """The action for a key code of OpenCV's `waitKey`, ignoring modifiers, or None."""
    low = key & 0xFF
    return KEYS.get(ord(chr(low).lower()))


def check_display() -> None:
    """Check that a window can be opened, since OpenCV's toolkit would abort the process.

    Raises:
        DisplayError: it cannot; the message says what to do.
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
        reason = (
            "only Wayland is available, and OpenCV needs X11 (DISPLAY is not set)"
            if wayland
            else "neither DISPLAY nor WAYLAND_DISPLAY is set"
        )
        advice = "install XWayland" if wayland else "run it on a desktop"
        raise DisplayError(f"no display: {reason}; {advice}, or use --no-display with -o OUTPUT")
    if _answers(display) is False:
        raise DisplayError(
            f"no display: DISPLAY is {display!r}, but no X server there accepts this user; "
            "check DISPLAY and xauth, or use --no-display with -o OUTPUT"
        )


def _check_libraries(packages: Path) -> None:
    """Refuse to open a window that would hang because libraries were loaded in the wrong order.

    The wheels of PyAV and of OpenCV contain X11 libraries of the same name, and a process loads
    only the first. OpenCV's toolkit hangs with PyAV's (opencv#29195); PyAV works with OpenCV's.
    """
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return
    own_libraries = packages / "opencv_python.libs"
    loaded = {Path(line.split(maxsplit=5)[-1]) for line in maps.read_text().splitlines()}
    for library in loaded:
        clashes = library.name.startswith("libxcb") and (own_libraries / library.name).exists()
        if clashes and library.parent != own_libraries:
            raise DisplayError(
                "a window would hang: PyAV was imported before OpenCV, so its X11 libraries "
                "replaced OpenCV's; import cv2 before av, or use --no-display with -o OUTPUT"
            )


def _answers(display: str) -> bool | None:
    """Whether an X server accepts us on `display`; None if libX11 is not available."""
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

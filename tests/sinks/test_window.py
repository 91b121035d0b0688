"""A real window on a separate display (Xvfb), controlled by real keys (xdotool)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rtseg.errors import DisplayError
from rtseg.sinks.window import KEYS, check_display, key_event

ROOT = Path(__file__).parents[2]

needs_xvfb = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")),
    reason="Xvfb or xdotool is not installed",
)

PROGRAM = """
import faulthandler, sys, time
faulthandler.dump_traceback_later(40, exit=True)
import {imports}
import numpy as np
from fractions import Fraction
from rtseg.frames import Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.sinks.window import WindowSink
from rtseg.media.info import SourceInfo

image = np.zeros((240, 320, 3), np.uint8)
image[:] = (250, 10, 30)
frame = Frame(image=image, index=0, pts=0, time_base=Fraction(1, 30))
segmentation = Segmentation(labels=np.zeros((240, 320), np.uint8), label_set=HELEN)
sink = WindowSink("rtseg under test")
info = SourceInfo(name="drawn", width=320, height=240, time_base=Fraction(1, 30))
sink.open(info, width=320, height=240)
is_open = True
end = time.monotonic() + 30
while is_open and time.monotonic() < end:
    sink.write(frame, segmentation, frame.image)
    for event in sink.poll():
        print(event, flush=True)
        is_open = is_open and event != "quit"
    {extra}
sink.close("finished")
print("closed", flush=True)
"""


@pytest.fixture(scope="module")
def display():
    """A display of its own; Xvfb chooses its number."""
    read_end, write_end = os.pipe()
    server = subprocess.Popen(
        [
            "Xvfb",
            "-displayfd",
            str(write_end),
            "-screen",
            "0",
            "640x480x24",
            "-nolisten",
            "tcp",
            "-noreset",
        ],
        pass_fds=(write_end,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    try:
        with os.fdopen(read_end) as answer:
            number = answer.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


def run_program(display, *, imports="cv2, av", extra="pass"):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(imports=imports, extra=extra)],
        cwd=ROOT,
        env={**os.environ, "DISPLAY": display},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def xdotool(display, *words):
    done = subprocess.run(
        ["xdotool", *words],
        env={**os.environ, "DISPLAY": display},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stdout.split()


def wait_for_window(display, program):
    end = time.monotonic() + 30
    while time.monotonic() < end and program.poll() is None:
        windows = xdotool(display, "search", "--onlyvisible", "--name", "rtseg under test")
        if windows:
            time.sleep(0.3)
            return windows[0]
        time.sleep(0.1)
    program.kill()
    raise AssertionError(f"no window came up: {program.communicate()}")


@needs_xvfb
def test_keys_become_events_and_q_ends_the_run(display):
    program = run_program(display)
    window = wait_for_window(display, program)
    pressed = {
        "space": "pause", "s": "snapshot", "v": "next-view", "plus": "more-opacity",
        "minus": "less-opacity", "h": "hud", "l": "legend", "r": "record", "question": "help",
        "x": None, "q": "quit",
    }  # fmt: skip
    for key in pressed:
        xdotool(display, "key", "--window", window, key)
        time.sleep(0.05)
    out, errors = program.communicate(timeout=30)
    assert program.returncode == 0, errors
    assert out.split() == [*filter(None, pressed.values()), "closed"]
    assert "Font" not in errors, "Qt's remarks on fonts reach the user"


@needs_xvfb
def test_closing_the_window_quits(display):
    """Destroyed without the sink's knowledge, as by the close button."""
    program = run_program(
        display,
        extra="""
    if is_open and time.monotonic() > end - 29:
        cv2.destroyWindow("rtseg under test")""",
    )
    out, errors = program.communicate(timeout=40)
    assert program.returncode == 0, errors
    assert out.split() == ["quit", "closed"]


@needs_xvfb
def test_the_window_shows_red_as_red(display):
    for _attempt in range(3):  # without a window manager the first paint is occasionally lost
        colour = shown_colour(display)
        if colour == ["250", "10", "30"]:
            return
    raise AssertionError(f"the window shows {colour}")


def shown_colour(display):
    """The content of a fresh window within some seconds, read back from X, as texts R, G, B."""
    program = run_program(display)
    window = wait_for_window(display, program)
    end = time.monotonic() + 6
    colour: list[str] = []
    while colour != ["250", "10", "30"] and time.monotonic() < end:
        xdotool(display, "windowraise", window)
        shot = subprocess.run(
            [sys.executable, "-c", GRAB, window],
            env={**os.environ, "DISPLAY": display},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        colour = shot.stdout.split()
    xdotool(display, "key", "--window", window, "Escape")
    out, _ = program.communicate(timeout=30)
    assert out.split() == ["quit", "closed"]
    return colour


GRAB = """
import ctypes, sys
x11 = ctypes.CDLL("libX11.so.6")
x11.XOpenDisplay.restype = ctypes.c_void_p
x11.XGetImage.restype = ctypes.c_void_p
x11.XGetImage.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_int,
                          ctypes.c_uint, ctypes.c_uint, ctypes.c_ulong, ctypes.c_int]
x11.XGetPixel.restype = ctypes.c_ulong
x11.XGetPixel.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
display = x11.XOpenDisplay(None)
image = x11.XGetImage(display, int(sys.argv[1]), 100, 100, 1, 1, 0xFFFFFFFF, 2)
pixel = x11.XGetPixel(image, 0, 0)
print(pixel >> 16 & 255, pixel >> 8 & 255, pixel & 255)
"""


@needs_xvfb
def test_libraries_in_the_wrong_order_are_an_error_instead_of_a_hang(display):
    """With wheels that do not clash, the window works."""
    program = run_program(display, imports="av, cv2", extra="is_open = False")
    out, errors = program.communicate(timeout=45)
    assert out.split() == ["closed"] or "import cv2 before av" in errors.splitlines()[-1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11 is Linux's")
@pytest.mark.parametrize(
    ("display", "wayland", "says"),
    [
        (None, None, "neither DISPLAY nor WAYLAND_DISPLAY is set"),
        (None, "wayland-0", "only Wayland"),
        (":4711", None, "':4711'"),
    ],
)
def test_a_missing_display_is_an_error_instead_of_an_abort(monkeypatch, display, wayland, says):
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    for name, value in (("DISPLAY", display), ("WAYLAND_DISPLAY", wayland)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises(DisplayError, match=says) as caught:
        check_display()
    assert "--no-display" in str(caught.value)


def test_letters_count_in_either_case_and_other_keys_do_nothing():
    assert key_event(ord("Q")) == key_event(ord("q")) == key_event(27) == "quit"
    assert key_event(ord("=")) == "more-opacity"
    assert key_event(0x100000 | ord("v")) == "next-view"
    for key in (ord("x"), 13, 255, 0):
        assert key_event(key) is None
    assert len(set(KEYS.values())) == 10

"""Every error that rtseg raises on purpose, and the exit code that the command line gives it.

    RtsegError                  1
    ├── SettingError            2   a wrong option, class, codec, view, pattern …
    ├── SourceError             3   an input that cannot be opened or read
    │   ├── NoVideoError        3   it opens, but holds no picture
    │   ├── LostError           3   it does not answer, or fell silent: it may come back
    │   └── TruncatedError      4   it ends in the middle; what came before is kept
    ├── SinkError               5   an output that cannot be created or written
    │   ├── OutputExistsError   5   it is there already, and --overwrite was not given
    │   └── DiskFullError       9   the disk is full, or nearly; what was written is kept
    ├── ModelError              6   a model file that is not one, or does not fit
    ├── BackendError            7   a device or run-time that is missing or fails
    │   └── DeviceMemoryError   7   the device's memory is full
    └── DisplayError            8   a window was asked for, and there is no display

A message is one line: what was wrong, what was found, what is allowed, what to do. It names
settings by their fields, in backticks (`detect_every`); the command line shows their options
instead (--detect-every). Anything that is not an RtsegError is a bug, and keeps its traceback (exit
code 1).
"""

from __future__ import annotations

from collections.abc import Iterable


class RtsegError(Exception):
    """The root of every error that rtseg raises on purpose."""

    exit_code = 1


class SettingError(RtsegError):
    """A value that was asked for is not allowed."""

    exit_code = 2


class SourceError(RtsegError):
    """An input cannot be opened or read."""

    exit_code = 3


class NoVideoError(SourceError):
    """An input opens but holds no picture."""


class LostError(SourceError):
    """An input does not answer or fell silent; a live one may come back."""


class TruncatedError(SourceError):
    """An input ends in the middle; every frame before the end was delivered."""

    exit_code = 4


class SinkError(RtsegError):
    """An output cannot be created or written."""

    exit_code = 5


class OutputExistsError(SinkError):
    """An output is there already and may not be replaced."""


class DiskFullError(SinkError):
    """An output's disk is full, or so nearly full that writing on would lose what is there."""

    exit_code = 9


class ModelError(RtsegError):
    """A model file is not one, is damaged, or does not fit its own description."""

    exit_code = 6


class BackendError(RtsegError):
    """A device or a run-time library is missing or fails."""

    exit_code = 7


class DeviceMemoryError(BackendError):
    """The device's memory is full: something smaller, or another device, may still do."""


class DisplayError(RtsegError):
    """A window was asked for, and there is no display to show it on."""

    exit_code = 8


def listed(allowed: Iterable[object]) -> str:
    """The allowed values as a message shows them: `a, b, c`."""
    return ", ".join(str(value) for value in allowed)

"""Every error that rtseg raises on purpose, and the exit code that the command line gives it.

    RtsegError                  1
    ├── SettingError            2   a wrong option, class, codec, view, pattern …
    ├── SourceError             3   an input that cannot be opened or read
    │   ├── NoVideoError        3   it opens, but contains no pictures
    │   ├── LostError           3   it does not answer, or fell silent; it may come back
    │   └── TruncatedError      4   it is truncated; everything before that is kept
    ├── SinkError               5   an output that cannot be created or written
    │   ├── OutputExistsError   5   it exists already, and --overwrite was not given
    │   └── DiskFullError       9   the disk is full, or nearly; what was written is kept
    ├── ModelError              6   a model file that is invalid or does not match
    ├── BackendError            7   a device or run-time that is missing or fails
    │   └── DeviceMemoryError   7   the device's memory is full
    └── DisplayError            8   a window was requested, and there is no display

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
    """A setting's value is not allowed."""

    exit_code = 2


class SourceError(RtsegError):
    """An input cannot be opened or read."""

    exit_code = 3


class NoVideoError(SourceError):
    """An input opens but contains no pictures."""


class LostError(SourceError):
    """An input does not answer or fell silent; a live one may come back."""


class TruncatedError(SourceError):
    """An input is truncated; every frame before the end was delivered."""

    exit_code = 4


class SinkError(RtsegError):
    """An output cannot be created or written."""

    exit_code = 5


class OutputExistsError(SinkError):
    """An output exists already and may not be replaced."""


class DiskFullError(SinkError):
    """An output's disk is full, or so nearly full that continuing would lose what was written."""

    exit_code = 9


class ModelError(RtsegError):
    """A model file is not a model, is damaged, or does not match its own description."""

    exit_code = 6


class BackendError(RtsegError):
    """A device or a run-time library is missing or fails."""

    exit_code = 7


class DeviceMemoryError(BackendError):
    """The device's memory is full; a smaller batch or another device may still work."""


class DisplayError(RtsegError):
    """A window was requested, and there is no display."""

    exit_code = 8


def listed(allowed: Iterable[object]) -> str:
    """Format allowed values for a message: `a, b, c`."""
    return ", ".join(str(value) for value in allowed)

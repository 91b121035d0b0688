"""Opening an input container, and saying in one line why it cannot be opened."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from rtseg.errors import SourceError
from rtseg.sources.completeness import is_cut_short
from rtseg.sources.location import STANDARD_INPUT, local_path, scheme_of

if TYPE_CHECKING:
    from av.container.input import InputContainer

_NOT_VIDEO_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf", "concat", "concatf"})
"""Demuxers that make a video of any text, or that read other files that a text names."""


def open_container(location: str, *, name: str, timeout: float) -> InputContainer:
    """Open a path, a URL or standard input for reading.

    Args:
        location: as the user gave it.
        name: what it is called in messages.
        timeout: seconds that opening and each read may take.

    Raises:
        SourceError: naming what was found and what to do.
    """
    import av

    av.logging.set_level(None)
    path = local_path(location)
    if path is not None:
        _check_file(path, name)
    file: str | StandardInput = f"file:{path}" if path is not None else location
    if location == STANDARD_INPUT:
        file = StandardInput(sys.stdin.buffer, name=name, timeout=timeout)
    options = {"rtsp_transport": "tcp"} if scheme_of(location) in ("rtsp", "rtsps") else {}
    try:
        container = av.open(
            file,
            "r",
            container_options=options,
            metadata_errors="replace",
            timeout=(timeout, timeout),
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SourceError(_explain(error, location, name=name, timeout=timeout)) from None
    if container.format.name in _NOT_VIDEO_FORMATS:
        container.close()
        raise SourceError(f"{name}: is text, not a video; give a video file")
    return container


def reason(error: BaseException) -> str:
    """FFmpeg's own words for an error, without the address that it appends."""
    return str(getattr(error, "strerror", None) or type(error).__name__).lower()


def _check_file(path: Path, name: str) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file; check the path") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read: {reason(error)}") from None
    if stat.S_ISDIR(mode):
        raise SourceError(f"{path}: is a folder; give a video file in it")
    if stat.S_ISREG(mode) and path.stat().st_size == 0:
        raise SourceError(f"{name}: is empty (0 bytes); give a video file")


def _explain(error: Exception, location: str, *, name: str, timeout: float) -> str:
    import av

    if isinstance(error, av.error.ExitError):
        return f"{name}: did not answer within {timeout:g} s; check the address, or raise --timeout"
    if isinstance(error, av.error.ProtocolNotFoundError):
        return (
            f"{name}: the protocol {scheme_of(location)!r} is unknown; allowed: file, http, "
            "https, rtsp, rtmp, udp, tcp …"
        )
    if isinstance(error, PermissionError):
        return f"{name}: may not be read (permission denied); check its permissions"
    if isinstance(error, EOFError):
        return f"{name}: ends before the first picture; get the complete video"
    if not isinstance(error, av.error.InvalidDataError):
        return f"{name}: cannot be opened: {reason(error)}"
    path = local_path(location)
    if path is not None:
        if is_cut_short(path) or _lacks_index(path):
            return (
                f"{name}: was cut off before its index was written (no moov), so that no frame "
                "can be read; get the complete file"
            )
        return f"{name}: is not a video that FFmpeg can read; found {_looks_like(path)}"
    hint = ""
    if location == STANDARD_INPUT:
        hint = (
            "; an mp4 whose index is at its end cannot be read from a pipe: give the file itself, "
            "or remux it with ffmpeg -movflags +faststart"
        )
    return f"{name}: sent nothing that FFmpeg can read as a video{hint}"


def _lacks_index(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


def _looks_like(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(1024)
    try:
        head.decode()
    except UnicodeDecodeError:
        return f"{path.stat().st_size} bytes of unknown data"
    return "text"


class StandardInput:
    """Standard input as PyAV reads it: with a time limit, and seekable only if it is a file."""

    def __init__(self, file: BinaryIO, *, name: str, timeout: float) -> None:
        self.name = name
        self._file = file
        self._timeout = timeout
        self._descriptor: int | None = None
        self._is_seekable = False
        try:
            self._descriptor = file.fileno()
            self._is_seekable = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        except (OSError, io.UnsupportedOperation):
            pass  # Not a real descriptor (a test's BytesIO): plain reads never block.

    def seekable(self) -> bool:
        """Whether it is a file, and not a pipe or a terminal."""
        return self._is_seekable

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, as soon as there are any; none at the end."""
        if self._descriptor is None or self._is_seekable:
            return self._file.read(size)
        if sys.platform != "win32":  # select takes only sockets there
            ready, _, _ = select.select([self._descriptor], [], [], self._timeout)
            if not ready:
                raise SourceError(
                    f"{self.name}: said nothing for {self._timeout:g} s; check what writes to it, "
                    "or allow more with --timeout"
                )
        return os.read(self._descriptor, size)

"""Read a video from standard input: a pipe with a time limit, or a redirected file."""

from __future__ import annotations

import io
import logging
import os
import select
import stat
import sys
import tempfile
import time
import weakref
from typing import BinaryIO

from rtseg.errors import SourceError

_BEFORE_CONTENT = frozenset({b"ftyp", b"free", b"skip", b"wide", b"uuid", b"pdin", b"prfl"})
"""Small mp4 boxes that may precede the content or the index."""

_LARGEST_PEEK = 1 << 20

_PIECE = 1 << 20

_log = logging.getLogger("rtseg")


class StandardInput:
    """Standard input for PyAV: has a time limit, and is seekable only if it is a file.

    An mp4 with its index at the end, as most programs (rtseg too) write it, cannot be streamed.
    `prepare` first copies it into a temporary file.

    Attributes:
        first_byte_ns: when the first byte arrived, `time.monotonic_ns`; None before that.
    """

    def __init__(self, file: BinaryIO, *, name: str, timeout: float) -> None:
        self.name = name
        self._file = file
        self._timeout = timeout
        self._descriptor: int | None = None
        self._is_seekable = False
        self.first_byte_ns: int | None = None
        self._ahead = b""
        try:
            self._descriptor = file.fileno()
            self._is_seekable = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        except (OSError, io.UnsupportedOperation):
            pass  # Without a real descriptor (a test's BytesIO), plain reads never block.

    def prepare(self) -> None:
        """Inspect the beginning, and buffer the whole input if it cannot be streamed.

        Raises:
            SourceError: nothing arrives in time, or the disk is full.
        """
        if self._descriptor is None or self._is_seekable or not self._has_index_behind():
            return
        _log.info(
            "%s: an mp4 with its index at the end, so it is first read whole, into a temporary "
            "file",
            self.name,
        )
        try:
            # It has no name, and is deleted with this object.
            stored: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
            weakref.finalize(self, stored.close)
            while data := self.read(_PIECE):
                stored.write(data)
            stored.seek(0)
        except OSError as error:
            raise SourceError(
                f"{self.name}: cannot be kept in {tempfile.gettempdir()}: {error.strerror}; give "
                "the file itself, set TMPDIR to a folder with room, or remux it with ffmpeg "
                "-movflags +faststart"
            ) from None
        self._file, self._is_seekable = stored, True

    def _has_index_behind(self) -> bool:
        """Whether this is an mp4 with its content (`mdat`) before its index (`moov`)."""
        place = 0
        while place + 8 <= _LARGEST_PEEK:
            while len(self._ahead) < place + 8:
                data = self._read_pipe(_PIECE)
                if not data:
                    return False
                self._ahead += data
            size = int.from_bytes(self._ahead[place : place + 4], "big")
            kind = self._ahead[place + 4 : place + 8]
            if kind == b"mdat":
                return True
            if kind not in _BEFORE_CONTENT or size < 8:
                return False
            place += size
        return False

    def seekable(self) -> bool:
        """Whether it is a file rather than a pipe or a terminal."""
        return self._is_seekable

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file."""
        return self._file.seek(offset, whence)

    """Like a file's `seek`."""

    """Like a file's `seek`."""

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, as soon as there are any; none at the end."""
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        if self._descriptor is None or self._is_seekable:
            return self._file.read(size)
        return self._read_pipe(size)

    def _read_pipe(self, size: int) -> bytes:
        assert self._descriptor is not None
        if sys.platform != "win32":  # select takes only sockets there
            ready, _, _ = select.select([self._descriptor], [], [], self._timeout)
            if not ready:
                raise SourceError(
                    f"{self.name}: sent nothing for {self._timeout:g} s; check what writes to it, "
                    "or allow more with `timeout`"
                )
        data = os.read(self._descriptor, size)
        if self.first_byte_ns is None:
            self.first_byte_ns = time.monotonic_ns()
        return data

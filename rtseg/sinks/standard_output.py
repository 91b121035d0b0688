"""Write a video to standard output."""

from __future__ import annotations

import sys
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import BinaryIO

from rtseg.errors import SinkError
from rtseg.system.files import FileId, file_id


def check_standard_output(inputs: AbstractSet[FileId] = frozenset()) -> None:
    """Check that a video may be sent to standard output.

    Args:
        inputs: the files that the run reads.

    Raises:
        SinkError: it is a terminal, or appends to an input (`>> in.mkv`).
    """
    with suppress(OSError, ValueError, AttributeError):  # no descriptor, such as a test's buffer
        if file_id(sys.stdout.fileno()) in inputs:
            raise SinkError("standard output is the input itself; send it to another file")
    if sys.stdout.isatty():
        raise SinkError(
            "standard output is a terminal, not a file or a pipe; add > NAME.mkv, or give -o a "
            "file's name"
        )


class StandardOutput:
    """Standard output for the muxer: never seeks, even if it is a file."""

    name = "standard output"

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        """Write all bytes."""
        return self._file.write(data)

"""Standard output as a place for a video, which then carries nothing else."""

from __future__ import annotations

import sys
from typing import BinaryIO

from rtseg.errors import SinkError


def check_standard_output() -> None:
    """Raise SinkError where a video would be poured into a terminal."""
    if sys.stdout.isatty():
        raise SinkError(
            "standard output is a terminal, not a file or a pipe; add > NAME.mkv, or give -o a "
            "file's name"
        )


class StandardOutput:
    """Standard output as the muxer writes it: never sought in, whatever it is."""

    name = "standard output"

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        """Pass bytes on."""
        return self._file.write(data)

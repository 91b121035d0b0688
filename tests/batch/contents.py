"""A checksum of the content of a result file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av


def content_of(path: Path) -> str:
    """SHA-256 of a video's frames and their times, or of any other file's bytes."""
    if path.suffix not in (".mkv", ".mp4"):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            digest.update(f"{frame.pts} {frame.time_base}".encode())
            digest.update(frame.to_ndarray().tobytes())
    return digest.hexdigest()

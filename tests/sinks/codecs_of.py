"""The codecs of a written file's streams."""

from __future__ import annotations

from pathlib import Path

import av


def codec_of(path: Path, kind: str = "audio") -> str:
    with av.open(str(path)) as container:
        (stream,) = (candidate for candidate in container.streams if candidate.type == kind)
        return str(stream.codec_context.codec.canonical_name)

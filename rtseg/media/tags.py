"""Read a container's tags, whose text may be in any encoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def lenient_tags() -> dict[str, Any]:
    """The arguments by which `av.open` does not reject a file for a tag that is not UTF-8.

    PyAV 18 decodes tags with the error handler that it is given. PyAV 19 takes none: it keeps
    undecodable bytes as surrogates, which `readable` replaces.
    """
    from av.container import InputContainer

    return {"metadata_errors": "replace"} if hasattr(InputContainer, "metadata_errors") else {}


def readable(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags that can be printed and written, with U+FFFD for what could not be decoded."""
    return {_text(key): _text(value) for key, value in tags.items()}


def _text(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

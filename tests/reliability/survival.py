"""Check that files are not damaged."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image as Pictures

from tests.cli.conftest import run as run
from tests.support.clips import picture

posix = pytest.mark.skipif(os.name == "nt", reason="links as POSIX has them")


def digests(*roots: Path) -> dict[str, str]:
    """The content of every file below, by its name."""
    by_path: dict[str, str] = {}
    for root in roots:
        paths = [root] if root.is_file() else [p for p in root.rglob("*") if p.is_file()]
        by_path |= {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}
    return by_path


@contextmanager
def unharmed(*inputs: Path) -> Iterator[None]:
    """The files are the same after the block as before it: content, names and all."""
    before = digests(*inputs)
    assert before
    yield
    after = digests(*inputs)
    assert {name: after.get(name) for name in before} == before


def pictures(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Pictures.fromarray(picture(number)).save(folder / name)
    return folder

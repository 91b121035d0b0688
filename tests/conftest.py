"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import clips


@pytest.fixture
def make_clip(tmp_path: Path) -> clips.MakeClip:
    """Make a clip in this test's own folder; see tests/support/clips.py."""

    def make(name: str = "clip.mp4", **how: object) -> Path:
        return clips.make_clip(tmp_path / name, **how)  # type: ignore[arg-type]

    return make


@pytest.fixture
def development_data() -> Path:
    """The folder of real clips and pictures, for checks in addition to the suite's own clips."""
    folder = os.environ.get("RTSEG_DATA")
    if not folder:
        pytest.skip("RTSEG_DATA is not set")
    return Path(folder)

"""Small clips, and settings that make small files of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtseg.batch import BatchSettings
from rtseg.settings import ModelSettings
from tests.support.clips import MakeClip


@pytest.fixture
def settings() -> BatchSettings:
    """Label ids and JSON lines, on one thread, without the finder network."""
    return BatchSettings(
        pictures=False,
        labels=True,
        records=True,
        model=ModelSettings(backend="openvino", device="cpu", precision="fp32", threads=1),
    )


@pytest.fixture
def clips(make_clip: MakeClip, tmp_path: Path) -> list[str]:
    """Three clips of different lengths."""
    return [str(make_clip(f"clip-{count}.mp4", ticks=range(count))) for count in (4, 5, 6)]

"""A stand-in for the network."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

import rtseg.backends
import rtseg.process
import rtseg.segmenter
from tests.cli.conftest import run as run
from tests.reliability.command import StandInSegmenter


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is loaded: what is tested is where files go."""
    for module in (rtseg.segmenter, rtseg.process):
        monkeypatch.setattr(module, "Segmenter", StandInSegmenter)
    for module in (rtseg.backends, rtseg.process):
        monkeypatch.setattr(module, "open_backend_for", lambda _model: nullcontext())

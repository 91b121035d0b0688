"""Boxes of faces in the clips, annotated by hand, interpolated between frames."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from rtseg.frames import Box

Corners = tuple[int, int, int, int]

STEP = 15
"""Frames between two boxes."""

_BOXES: dict[str, dict[str, list[Corners]]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text("utf-8")
)

PERSONS = _BOXES["persons"]
WITH_LOOSE_HAIR = _BOXES["with-loose-hair"]
SECOND_PERSONS = _BOXES["second-persons"]
SKULLS = _BOXES["skulls"]

SPEECH_CUTS = (20, 82, 211)
"""The first frames after the scene cuts of one clip."""


def box_at(boxes: Sequence[Corners], index: int) -> Box:
    """The box in a frame: interpolated between the two nearest ones; the last one after it."""
    before, share = divmod(index, STEP)
    before, share = (before, share) if before < len(boxes) - 1 else (len(boxes) - 1, 0)
    after = min(before + 1, len(boxes) - 1)
    left, top, right, bottom = (
        a + (b - a) * share / STEP for a, b in zip(boxes[before], boxes[after], strict=True)
    )
    return Box(left=left, top=top, right=right, bottom=bottom)

"""Keep what a wider crop has shown beyond the crop around a face for the next frames.

A wider crop costs as much as a followed face, and far from the face little changes from frame to
frame. So its labels move along with the crop around the face, until that has moved far or the hair
at its edge has changed, and in any case for a third of a second at most, or for a second while the
crop rests.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rtseg.faces import TrackedFace
from rtseg.faces.scoring import Mask
from rtseg.frames import Probabilities
from rtseg.geometry.crop import Crop, box_around
from rtseg.labels import LabelSet
from rtseg.postprocess import LabelsOnce
from rtseg.postprocess.beyond_crop import at_the_edges

_LONGEST_SECONDS, _LONGEST_AT_REST = 0.34, 1.0
_SHORTEST_SECONDS = 0.1  # until what touches the edges can have changed, rather than flickers
_AFTER_NOTHING = 0.25  # until another crop, whatever happens, if nothing went on beyond the face's
_MOVED = 0.12  # of the crop's height
_JUMPED = 0.04  # of the crop's height: the head may have moved before its crop does
_RESIZED = 1.1  # a crop this many times as high, or as low, shows the head at another size
# Of the cells at its edges where there was hair or neck, or is now; and of the cells of one edge,
# because a few that come and go show no more than they did.
_CHANGED, _CHANGED_OF_EDGE = 0.15, 0.06


@dataclass(frozen=True, kw_only=True, eq=False)
class WiderCropResult:
    """What a wider crop has shown, most of all beyond the crop around a face.

    Attributes:
        probabilities: all of the wider crop's.
        beyond: the labels there, as from `beyond_crop`; None if nothing continues.
        crop: the wider crop.
        face_crop: the crop around the face at that time.
        edges: what touched its edges, as from `at_the_edges`.
        seconds: the time.
    """

    probabilities: Probabilities
    beyond: Probabilities | None
    crop: Crop
    face_crop: Crop
    edges: Mask
    seconds: float

    @cached_property
    def labels_beyond(self) -> LabelsOnce | None:
        """What continues beyond the face's crop, as labels, which stay the same while it rests."""
        return None if self.beyond is None else LabelsOnce(self.beyond)


class WiderCropCache:
    """The latest result of a wider crop for each track of one stream."""

    def __init__(self) -> None:
        self._results: dict[int, WiderCropResult] = {}

    def clear(self) -> None:
        """Forget everything: the next picture is unrelated to the last one."""
        self._results.clear()

    def keep(self, results: dict[int, WiderCropResult], *, present: Iterable[int]) -> None:
        """Remember results for the next frames.

        Args:
            results: this frame's, by track id.
            present: all tracks in this frame. The results of other tracks are forgotten; those
                of tracks that needed none are kept, as what touches the edges comes and goes.
        """
        known = {**self._results, **results}
        self._results = {track_id: known[track_id] for track_id in present if track_id in known}

    def lookup(
        self, face: TrackedFace, label_set: LabelSet, *, seconds: float
    ) -> tuple[WiderCropResult, Crop] | None:
        """An earlier result that still applies to a face, and where its crop is now; else None.

        Args:
            face: the face in the present frame.
            label_set: identifies the ids of hair and neck.
            seconds: the frame's time.
        """
        result = self._results.get(face.track_id)
        if result is None or seconds < result.seconds:
            return None
        age = seconds - result.seconds
        if not self._still_applies(result, face, label_set, age=age):
            return None
        (x0, y0), (x1, y1) = result.face_crop.box.centre, face.crop.box.centre
        wide = result.crop.box
        x, y = wide.centre
        moved = box_around(x + round(x1 - x0), y + round(y1 - y0), wide.width, wide.height)
        return result, replace(result.crop, box=moved)

    def _still_applies(
        self, result: WiderCropResult, face: TrackedFace, label_set: LabelSet, *, age: float
    ) -> bool:
        """Whether a result that is `age` seconds old can be used for a face's present crop."""
        before, now = result.face_crop, face.crop
        if result.beyond is None and age < _AFTER_NOTHING:
            return True
        if age >= (_LONGEST_AT_REST if now == before else _LONGEST_SECONDS):
            return False
        (x0, y0), (x1, y1) = before.box.centre, now.box.centre
        moved = math.hypot(x1 - x0, y1 - y0) / before.box.height
        if (
            now.roll_degrees != before.roll_degrees
            or moved > _MOVED
            or not 1 / _RESIZED < now.box.height / before.box.height < _RESIZED
        ):
            return False
        if age < _SHORTEST_SECONDS and moved <= _JUMPED:
            return True
        edges = at_the_edges(face.probabilities, label_set)
        changed = int(np.count_nonzero(edges != result.edges))
        touching = int(np.count_nonzero(edges | result.edges))
        return changed <= max(_CHANGED * touching, _CHANGED_OF_EDGE * edges.size / 4)

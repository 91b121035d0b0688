"""Where the finder has seen faces: the labels of followed ones do not spread over them all.

Labels of a face may grow over whatever touches it: another face, or a bare shoulder. A follower
that believed them would make its crop ever larger, in which labels are ever worse. A finder
network sees two centres in two heads that touch, so its boxes keep them apart.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from rtseg.faces.base import FaceDetection
from rtseg.faces.overlap import is_one_of, is_part, shared_part
from rtseg.frames import Box
from rtseg.geometry.crop import box_around

_LEAST_SCORE = 0.3  # of a finder's detection that is believed; below, it is probably no face
# Least overlap of a finder's box and the labels for it to become the face's anchor: `REACH` in
# `separation` is such that no label is cut off from a box that overlaps it by as much.
_AGREES = 0.5
# For how long an anchor is kept without being seen again, as an unchanged picture is searched less
# often; and the box of a face that is not followed, which does not move along.
_KEPT_SECONDS, _KEPT_UNKNOWN_SECONDS = 3.0, 0.5
# How far, in its own sizes, an anchor follows its face without being seen again. A face that moves
# fast would leave its box behind: its own labels would then be cut off.
_FARTHEST = 0.5
_TOUCHES = 0.15  # most of the smaller of two boxes that is inside the other if heads only touch
_MOST_STEP, _MOST_GROWTH = 0.3, 0.05  # of its size, that an anchor follows its face in a picture
_BEYOND = 0.025  # of its size; labels that reach farther beyond a box may have grown over something


@dataclass(frozen=True, kw_only=True)
class _Anchor:
    """A finder's box now and when it was seen, and the box of the labels in the last picture."""

    box: Box
    seen: Box
    seconds: float
    labelled: Box

    @property
    def moved(self) -> float:
        """How far the box has moved since it was seen, in its own sizes."""
        (x0, y0), (x1, y1) = self.seen.centre, self.box.centre
        return max(abs(x1 - x0) / self.box.width, abs(y1 - y0) / self.box.height)


class Anchors:
    """The boxes in which a finder saw the faces of one stream, whether they are followed or not."""

    def __init__(self) -> None:
        self._anchors: dict[int, _Anchor] = {}
        self._unknown: list[tuple[Box, float]] = []

    @property
    def boxes(self) -> list[Box]:
        """All of them, in pixels of the picture, but for those that are in each other's way.

        Heads that touch hardly overlap. Of two that do, one is in front and hides the other, so
        that labels cannot be divided between them; a face that is not followed yields.
        """
        anchored = [anchor.box for anchor in self._anchors.values()]
        unknown = [box for box, _ in self._unknown]
        return [
            box
            for index, box in enumerate(anchored)
            if _is_free(box, [*anchored[:index], *anchored[index + 1 :]])
        ] + [box for index, box in enumerate(unknown) if _is_free(box, anchored + unknown[:index])]

    def of(self, track_id: int) -> Box | None:
        """The box of a followed face; None if the finder has not seen it lately."""
        anchor = self._anchors.get(track_id)
        return anchor.box if anchor is not None else None

    def disagrees(self, track_id: int, face: Box) -> bool:
        """Whether the labels of a followed face show hardly what the finder saw of it, or most of
        another one as well."""
        anchor = self._anchors.get(track_id)
        if anchor is None:
            return False
        return is_part(face, anchor.box) or any(
            shared_part(other.box, face) >= _AGREES and not is_one_of(other.box, [anchor.box])
            for name, other in self._anchors.items()
            if name != track_id
        )

    def update(
        self,
        labelled: Mapping[int, Box],
        detections: Sequence[FaceDetection],
        *,
        seconds: float,
        turned_away: Container[int] = (),
    ) -> None:
        """Take over what the finder saw in this picture, and move the other boxes along.

        Args:
            labelled: the boxes of the faces that are followed in this picture, according to their
                labels, by track id.
            detections: everything that the finder has found in this picture.
            seconds: the picture's time.
            turned_away: those of which the labels show hair alone, which may be somebody else's and
                moves otherwise than the face did: where that was seen, it is looked for.
        """
        strong = believed(detections)
        before, self._anchors = self._anchors, {}
        for track_id, face in labelled.items():
            anchor = before.get(track_id)
            if track_id in turned_away:
                if anchor is None or shared_part(anchor.box, face) < _AGREES:
                    continue
                face = anchor.labelled
            elif anchor is not None:
                moved = _followed(anchor.box, anchor.labelled, face)
                anchor = replace(anchor, box=moved, labelled=face)
            expected = face if anchor is None else anchor.box
            seen = max(strong, key=expected.overlap, default=None)
            if seen is not None and seen.overlap(expected) >= _AGREES:
                # half of each, as a finder's boxes differ from search to search
                box = seen if anchor is None else _mean(seen, anchor.box)
                anchor = _Anchor(box=box, seen=box, seconds=seconds, labelled=face)
            if (
                anchor is not None
                and 0 <= seconds - anchor.seconds <= _KEPT_SECONDS
                and anchor.moved <= _FARTHEST
            ):
                self._anchors[track_id] = anchor
        # a face whose labels and finder's box disagree is followed by its labels alone
        known = [self.of(track_id) or face for track_id, face in labelled.items()]
        unknown = [(box, seconds) for box in strong] + [
            (box, then)
            for box, then in self._unknown
            if 0 <= seconds - then <= _KEPT_UNKNOWN_SECONDS
            and all(box.overlap(seen) < _AGREES for seen in strong)
        ]
        self._unknown = [(box, then) for box, then in unknown if not is_one_of(box, known)]


def believed(detections: Sequence[FaceDetection]) -> list[Box]:
    """The boxes of those of a finder's detections that are probably faces."""
    return [face.box for face in detections if face.score >= _LEAST_SCORE]


def _is_free(box: Box, others: Sequence[Box]) -> bool:
    return all(shared_part(box, other) <= _TOUCHES for other in others)


def _followed(box: Box, before: Box, after: Box) -> Box:
    """Move and scale a box as a face's labels, of which each edge may grow over something else."""
    left, right = after.left - before.left, after.right - before.right
    top, bottom = after.top - before.top, after.bottom - before.bottom
    x, y = box.centre
    beyond = box.left - after.left, after.right - box.right
    x += _shift(left, right, beyond, size=box.width)
    beyond = box.top - after.top, after.bottom - box.bottom
    y += _shift(top, bottom, beyond, size=box.height)
    wider = 2 * _common(-left, right, most=before.width) / before.width
    higher = 2 * _common(-top, bottom, most=before.height) / before.height
    growth = 1 + _common(wider, higher, most=_MOST_GROWTH)
    return box_around(x, y, growth * box.width, growth * box.height)


def _shift(first: float, second: float, beyond: tuple[float, float], *, size: float) -> float:
    """How far a box moves with two opposite edges of the labels.

    Args:
        first, second: how far the edges moved.
        beyond: how far they are outside the box.
        size: the box's, in their direction.
    """
    most = _MOST_STEP * size
    if first * second > 0 or max(beyond) <= _BEYOND * size:
        return _common(first, second, most=most)
    if min(beyond) > _BEYOND * size:
        return 0.0
    # an edge that is cut off, or that grows over something else, says nothing; the other one does,
    # unless it comes out from inside the box, where labels showed a part of the face alone
    outwards = _BEYOND * size
    if beyond[0] < beyond[1]:
        return max(-outwards, min(most, first))
    return max(-most, min(outwards, second))


def _common(first: float, second: float, *, most: float) -> float:
    """What two changes have in common: the lesser one, limited, or 0 if they are opposite."""
    if first * second <= 0:
        return 0.0
    least = min(first, second, key=abs)
    return max(-most, min(most, least))


def _mean(first: Box, second: Box) -> Box:
    return Box(
        left=(first.left + second.left) / 2,
        top=(first.top + second.top) / 2,
        right=(first.right + second.right) / 2,
        bottom=(first.bottom + second.bottom) / 2,
    )

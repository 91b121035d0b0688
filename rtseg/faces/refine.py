"""Refine coarse detections by running the network on a crop around each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtseg.faces.base import InferCrops
from rtseg.faces.parsed_faces import ParsedFace, faces_in_crop, nearest
from rtseg.faces.track import planned_roll
from rtseg.frames import Box, Probabilities
from rtseg.geometry.crop import Crop, crop_around, crop_side, wrapped
from rtseg.labels import LabelSet

_ROLL_OFF_DEGREES = 15.0  # from which a crop is turned anew at once, not over the next frames
_ROLL_FROM_AFAR_DEGREES = 30.0  # from afar, only more is believed; less is read well upright
_SIDEWAYS_DEGREES = 75.0  # both ways; what lies flat is then tilted no more than networks know
_CORRECTIONS = 3  # at most so many further looks, where the crop was off
_BEYOND = 0.5  # of what is seen of a head, may lie beyond the edge that cuts it


@dataclass(frozen=True, kw_only=True, eq=False)
class Refined:
    """What a closer look saw.

    Attributes:
        crop, probabilities: what was looked at, and its map.
        own: the face that was expected there; None if there is none.
        here: everything that was seen.
    """

    crop: Crop
    probabilities: Probabilities
    own: ParsedFace | None
    here: list[ParsedFace]

    @property
    def score(self) -> float:
        """How sure it is a face, 0..1."""
        return self.own.score if self.own is not None else 0.0


class Refiner:
    """Looks at single heads.

    Args:
        label_set: must say which ids make up a face.
        aspect: width over height of the network's input.
    """

    def __init__(self, label_set: LabelSet, *, aspect: float) -> None:
        self.label_set = label_set
        self.aspect = aspect

    def at(self, coarse: Sequence[ParsedFace], infer_crops: InferCrops) -> list[Refined]:
        """Look at heads that were seen from afar, and again where the crop was off."""
        rolls = [seen.roll_degrees or 0.0 for seen in coarse]
        plans = [
            self._around(seen.head, roll if abs(roll) > _ROLL_FROM_AFAR_DEGREES else 0.0)
            for seen, roll in zip(coarse, rolls, strict=True)
        ]
        closer = self._infer(plans, [seen.head for seen in coarse], infer_crops)
        for _ in range(_CORRECTIONS):
            again = [
                (index, done.own)
                for index, done in enumerate(closer)
                if done.own is not None and not fits(done.crop, done.own, aspect=self.aspect)
            ]
            plans = [
                self._around(
                    whole_head(own, closer[index].crop),
                    planned_roll(own.roll_degrees, closer[index].crop),
                )
                for index, own in again
            ]
            anew = self._infer(plans, [own.head for _, own in again], infer_crops)
            for (index, _), better in zip(again, anew, strict=True):
                is_turned_anew = better.crop.roll_degrees != closer[index].crop.roll_degrees
                # a roll read wrongly makes things worse
                if better.own and not (
                    is_turned_anew and better.score < closer[index].score - 0.05
                ):
                    closer[index] = better
        return closer

    def sideways(self, coarse: Sequence[ParsedFace], infer_crops: InferCrops) -> list[Refined]:
        """Look at heads as if they lay on their side, this and that way; the better one of each."""
        both = [
            (self._around(seen.head, roll), seen.head)
            for seen in coarse
            for roll in (-_SIDEWAYS_DEGREES, _SIDEWAYS_DEGREES)
        ]
        closer = self._infer([plan for plan, _ in both], [head for _, head in both], infer_crops)
        return [
            max(pair, key=lambda done: done.score)
            for pair in zip(closer[::2], closer[1::2], strict=True)
        ]

    def _around(self, head: Box, roll_degrees: float) -> Crop:
        side = crop_side(head, self.aspect)
        return crop_around(*head.centre, side, self.aspect, roll_degrees)

    def _infer(
        self, crops: Sequence[Crop], heads: Sequence[Box], infer_crops: InferCrops
    ) -> list[Refined]:
        closer = []
        for crop, head, probabilities in zip(
            crops, heads, infer_crops(crops) if crops else [], strict=True
        ):
            here = faces_in_crop(probabilities, crop, self.label_set)
            closer.append(
                Refined(crop=crop, probabilities=probabilities, own=nearest(here, head), here=here)
            )
        return closer


def fits(crop: Crop, own: ParsedFace, *, aspect: float) -> bool:
    """Whether a crop is about the one that would be planned around what was seen in it."""
    if own.is_cut:
        return False
    ratio = crop_side(own.head, aspect) / crop.box.height
    (x0, y0), (x1, y1) = crop.box.centre, own.head.centre
    off = abs(wrapped(planned_roll(own.roll_degrees, crop) - crop.roll_degrees))
    return (
        0.8 < ratio < 1.25
        and max(abs(x1 - x0), abs(y1 - y0)) < 0.12 * crop.box.height
        and off <= _ROLL_OFF_DEGREES
    )


def whole_head(own: ParsedFace, crop: Crop) -> Box:
    """A head with what of it lies beyond the edges of the crop, by a guess.

    A tile may end in the middle of a head: the crop around what the tile showed does as well.
    """
    head, cells = own.head, own.cells
    if not own.is_cut or not crop.is_upright:
        return head
    more_x, more_y = _BEYOND * head.width, _BEYOND * head.height
    return Box(
        left=head.left - more_x * cells[:, 0].any(),
        top=head.top - more_y * cells[0].any(),
        right=head.right + more_x * cells[:, -1].any(),
        bottom=head.bottom + more_y * cells[-1].any(),
    )

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

_ROLL_OFF_DEGREES = 15.0  # a crop that is off by more is rotated at once, not over several frames
_ROLL_FROM_AFAR_DEGREES = 30.0  # a coarse roll estimate is ignored below this
_SIDEWAYS_DEGREES = 75.0  # both ways; a face lying flat is then tilted no more than in training
_CORRECTIONS = 3  # further crops, at most, where the first one did not fit
_BEYOND = 0.5  # a cut head extends at most this share of its visible part beyond the edge


@dataclass(frozen=True, kw_only=True, eq=False)
class Refined:
    """The labels of one detection's own crop.

    Attributes:
        crop, probabilities: the examined crop, and the probabilities of its classes.
        parsed: the face that was expected there; None if there is none.
        all_parsed: every face in the crop.
    """

    crop: Crop
    probabilities: Probabilities
    parsed: ParsedFace | None
    all_parsed: list[ParsedFace]

    @property
    def score(self) -> float:
        """The score of the expected face, 0..1; 0 if there is none."""
        return self.parsed.score if self.parsed is not None else 0.0


class Refiner:
    """Runs the network on crops around single heads.

    Args:
        label_set: must say which ids make up a face.
        aspect: width over height of the network's input.
    """

    def __init__(self, label_set: LabelSet, *, aspect: float) -> None:
        self.label_set = label_set
        self.aspect = aspect

    def at(self, coarse: Sequence[ParsedFace], infer_crops: InferCrops) -> list[Refined]:
        """Examine heads found in a large picture, and again where the crop did not fit the face."""
        rolls = [face.roll_degrees or 0.0 for face in coarse]
        plans = [
            self._around(face.head, roll if abs(roll) > _ROLL_FROM_AFAR_DEGREES else 0.0)
            for face, roll in zip(coarse, rolls, strict=True)
        ]
        closer = self._infer(plans, [face.head for face in coarse], infer_crops)
        for _ in range(_CORRECTIONS):
            again = [
                (index, done.parsed)
                for index, done in enumerate(closer)
                if done.parsed is not None and not fits(done.crop, done.parsed, aspect=self.aspect)
            ]
            plans = [
                self._around(
                    whole_head(parsed, closer[index].crop),
                    planned_roll(parsed.roll_degrees, closer[index].crop),
                )
                for index, parsed in again
            ]
            anew = self._infer(plans, [parsed.head for _, parsed in again], infer_crops)
            for (index, _), better in zip(again, anew, strict=True):
                is_turned_anew = better.crop.roll_degrees != closer[index].crop.roll_degrees
                # a wrong roll estimate makes things worse
                if better.parsed and not (
                    is_turned_anew and better.score < closer[index].score - 0.05
                ):
                    closer[index] = better
        return closer

    def sideways(self, coarse: Sequence[ParsedFace], infer_crops: InferCrops) -> list[Refined]:
        """Examine heads as if lying on their side, in both directions; the better one of each."""
        both = [
            (self._around(face.head, roll), face.head)
            for face in coarse
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
            all_parsed = faces_in_crop(probabilities, crop, self.label_set)
            closer.append(
                Refined(
                    crop=crop,
                    probabilities=probabilities,
                    parsed=nearest(all_parsed, head),
                    all_parsed=all_parsed,
                )
            )
        return closer


def fits(crop: Crop, parsed: ParsedFace, *, aspect: float) -> bool:
    """Whether a crop is close enough to the one that would be planned around the face in it."""
    if parsed.is_cut:
        return False
    ratio = crop_side(parsed.head, aspect) / crop.box.height
    (x0, y0), (x1, y1) = crop.box.centre, parsed.head.centre
    off = abs(wrapped(planned_roll(parsed.roll_degrees, crop) - crop.roll_degrees))
    return (
        0.8 < ratio < 1.25
        and max(abs(x1 - x0), abs(y1 - y0)) < 0.12 * crop.box.height
        and off <= _ROLL_OFF_DEGREES
    )


def whole_head(parsed: ParsedFace, crop: Crop) -> Box:
    """Estimate the whole box of a head that extends beyond the edges of its crop.

    A tile may end in the middle of a head; then so does the crop around what the tile showed.
    """
    head, cells = parsed.head, parsed.cells
    if not parsed.is_cut or not crop.is_upright:
        return head
    more_x, more_y = _BEYOND * head.width, _BEYOND * head.height
    return Box(
        left=head.left - more_x * cells[:, 0].any(),
        top=head.top - more_y * cells[0].any(),
        right=head.right + more_x * cells[:, -1].any(),
        bottom=head.bottom + more_y * cells[-1].any(),
    )

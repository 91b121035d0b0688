"""The state of one tracked face: its box, and the crop for the next frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rtseg.faces.base import FaceDetection
from rtseg.faces.one_euro import OneEuro
from rtseg.faces.steady_box import BoxSpeed, SteadyBox
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, crop_around, crop_side, wrapped

_STILL_CENTRE, _STILL_SIDE = 0.05, 0.1  # a crop ignores movements below these shares of its side
_STILL_ROLL = 5.0  # degrees
# Networks tolerate slightly tilted heads. Up to the first angle a crop stays upright, which is
# exact and fast; a rotated one becomes upright again below the second.
_TURNS_AT_DEGREES, _UPRIGHT_BELOW_DEGREES = 15.0, 9.0
_ROLL_UNIT_DEGREES = 60.0  # the unit of the filter's speeds: a head laid on the shoulder
_USUAL_STEP_SECONDS = 1 / 30
# A face that moves or grows by less, relative to its crop's side, rests. That is less than a crop
# ignores, so that a head that moves is always noticed by its face.
_FACE_RESTS, _FACE_KEEPS_SIZE = 0.5 * _STILL_CENTRE, 0.5 * _STILL_SIDE
_SHORTEST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.25, 2.0


def planned_roll(roll_degrees: float | None, crop: Crop) -> float:
    """The roll of the next crop, given the roll of the face that was found in this one."""
    if roll_degrees is None:
        return crop.roll_degrees
    if abs(roll_degrees) < (_TURNS_AT_DEGREES if crop.is_upright else _UPRIGHT_BELOW_DEGREES):
        return 0.0
    if abs(wrapped(roll_degrees - crop.roll_degrees)) <= _STILL_ROLL:
        return crop.roll_degrees
    return roll_degrees


class _Patience:
    """How long a crop waits before it follows what the labels say of hair, while the face rests.

    The labels depend on the crop a little. If a smaller crop shows more hair, and a larger one
    less, the crop would change for ever; so the wait is twice as long each time.
    """

    def __init__(self) -> None:
        self._longest = self._waited = 0.0

    def begin_again(self) -> None:
        """Count from the next frame on."""
        self._waited = 0.0

    def is_over(self, step_seconds: float) -> bool:
        """Whether the crop has waited long enough, after another time step."""
        self._waited += step_seconds
        if self._waited < self._longest:
            return False
        self._longest = min(max(_SHORTEST_WAIT_SECONDS, 2 * self._longest), _LONGEST_WAIT_SECONDS)
        self._waited = 0.0
        return True


@dataclass(eq=False)
class Track:
    """A followed face.

    Attributes:
        track_id: constant from frame to frame, counting from 1.
        head: as in `FaceDetection`, where it was last found.
        bounds: as in `FaceDetection`, smoothed over time; what callers see.
        face: the upright rectangle around the face, smoothed as well.
        seen_face: the same as it was last found, without smoothing.
        crop: the crop in which to look for it next.
        score: the confidence that it is a face, 0..1.
        seen_seconds: when it was last found.
        is_present: whether it was found in the last frame.
        proportion: as in `FaceDetection`, when part of the face was last seen to be covered; None
            if none ever was.
    """

    track_id: int
    head: Box
    crop: Crop
    score: float
    seen_seconds: float
    is_present: bool = True
    proportion: float | None = None
    bounds: Box = field(init=False)
    face: Box = field(init=False)
    seen_face: Box = field(init=False)
    _speed: BoxSpeed = field(default_factory=BoxSpeed)
    _steady_bounds: SteadyBox = field(default_factory=SteadyBox)
    _steady_face: SteadyBox = field(default_factory=SteadyBox)
    _patience: _Patience = field(default_factory=_Patience)
    _cropped_face: Box | None = None
    _x: OneEuro = field(default_factory=OneEuro)
    _y: OneEuro = field(default_factory=OneEuro)
    _log_side: OneEuro = field(default_factory=OneEuro)
    _roll: OneEuro = field(default_factory=OneEuro)
    _roll_degrees: float | None = None

    def __post_init__(self) -> None:
        self.bounds = self.face = self.seen_face = self.head

    def follow(self, detection: FaceDetection, *, seconds: float, aspect: float) -> None:
        """Update the track with the face's new position, and plan the next crop.

        Args:
            detection: with its head.
            seconds: the picture's time.
            aspect: width over height of the crops.
        """
        step = seconds - self.seen_seconds
        if step <= 0:
            step = _USUAL_STEP_SECONDS
        head = detection.head or detection.box
        self.head, self.score = head, detection.score
        self.seen_seconds, self.is_present = seconds, True
        self.proportion = detection.proportion or self.proportion
        speed = self._speed(detection.box, step)
        self.bounds = self._steady_bounds(detection.bounds or head, step, speed=speed)
        self.seen_face = detection.box
        self.face = self._steady_face(detection.box, step, speed=speed)
        x, y = head.centre
        side = crop_side(head, aspect)
        unit = self.crop.box.height
        x = self._x(x, step, unit=unit)
        y = self._y(y, step, unit=unit)
        side = math.exp(self._log_side(math.log(side), step))
        roll = planned_roll(self._smooth_roll(detection.roll_degrees, step), self.crop)
        was_x, was_y = self.crop.box.centre
        moved = max(abs(x - was_x), abs(y - was_y)) / unit
        is_turned = roll != self.crop.roll_degrees
        if not is_turned and moved <= _STILL_CENTRE and abs(side / unit - 1) <= _STILL_SIDE:
            self._patience.begin_again()
        elif is_turned or self._face_has_moved() or self._patience.is_over(step):
            self.crop = crop_around(x, y, side, aspect, roll)
            self._cropped_face = self.face

    def _face_has_moved(self) -> bool:
        """Whether the face moved or changed its size since the crop last did."""
        before, unit = self._cropped_face, self.crop.box.height
        if before is None:
            return True
        (x0, y0), (x1, y1) = before.centre, self.face.centre
        size = max(abs(self.face.width - before.width), abs(self.face.height - before.height))
        return max(abs(x1 - x0), abs(y1 - y0)) > _FACE_RESTS * unit or (
            size > _FACE_KEEPS_SIZE * unit
        )

    def _smooth_roll(self, roll_degrees: float | None, step_seconds: float) -> float | None:
        """Filter an angle, continuing beyond half a turn; None if it was never known."""
        if roll_degrees is not None:
            if self._roll_degrees is not None:
                # the same direction, within half a turn of the last
                roll_degrees = self._roll_degrees + wrapped(roll_degrees - self._roll_degrees)
            self._roll_degrees = self._roll(roll_degrees, step_seconds, unit=_ROLL_UNIT_DEGREES)
        return None if self._roll_degrees is None else wrapped(self._roll_degrees)


def gap(first: Box, second: Box) -> float:
    """The distance of two heads' centres, in heights of the larger one."""
    (x0, y0), (x1, y1) = first.centre, second.centre
    return math.hypot(x1 - x0, y1 - y0) / max(first.height, second.height)


def may_be_same(lost: Box, detected: Box) -> bool:
    """Whether a lost face can have moved to a detected one in the meantime."""
    ratio = detected.height / lost.height
    return gap(lost, detected) < 1.5 and 0.5 < ratio < 2.0

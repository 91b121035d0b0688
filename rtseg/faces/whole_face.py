"""The part of a face that its labels do not show, because a mask or a scarf covers it.

Labels end where the cover begins, whereas a finder network is trained on whole faces, from forehead
to chin. So where the two agree about the top and the sides of a face, and the finder's box goes on
well below, the face does too. Directions are the face's own, which may be rotated.
"""

from __future__ import annotations

import math

from rtseg.frames import Box

_COVERED = 0.15  # share of the face's height by which labels must end early; less is imprecision
_AGREES = 0.25  # of the same: the most that top and centre may differ in what is the same face


def covered_height(labelled: Box, whole: Box, roll_degrees: float) -> float:
    """The height in pixels of what is covered below a labelled face; 0 if nothing is.

    Args:
        labelled: the upright rectangle around the cells labelled as face.
        whole: that around the whole face according to a finder.
        roll_degrees: the face's rotation, clockwise as displayed.
    """
    down, across = _axes(roll_degrees)
    height = _extent(whole, down)
    covered = _reach(whole, *down) - _reach(labelled, *down)
    above = _reach(whole, -down[0], -down[1]) - _reach(labelled, -down[0], -down[1])
    (x0, y0), (x1, y1) = labelled.centre, whole.centre
    aside = (x1 - x0) * across[0] + (y1 - y0) * across[1]
    if covered < _COVERED * height or max(abs(above), abs(aside)) > _AGREES * height:
        return 0.0
    return covered


def whole_proportion(labelled: Box, covered: float, roll_degrees: float) -> float:
    """The height in widths of a labelled face with what is covered of it.

    The upright rectangle around a face that is tilted does not tell: lengthened along its diagonal,
    it becomes wider as well.

    Args:
        labelled, roll_degrees: as for `covered_height`.
        covered: what that returned.
    """
    down, across = _axes(roll_degrees)
    return (_extent(labelled, down) + covered) / max(1e-6, _extent(labelled, across))


def missing_height(labelled: Box, proportion: float, roll_degrees: float) -> float:
    """The height in pixels that a labelled face lacks for its known proportion; 0 if hardly any.

    Args:
        labelled: as for `covered_height`.
        proportion: the whole face's height in widths.
        roll_degrees: as for `covered_height`.
    """
    down, across = _axes(roll_degrees)
    height = proportion * _extent(labelled, across)
    missing = height - _extent(labelled, down)
    return missing if missing >= _COVERED * height else 0.0


def lengthened(face: Box, by: float, roll_degrees: float) -> Box:
    """Extend a face's rectangle downwards, in the face's direction, by a number of pixels."""
    (x, y), _ = _axes(roll_degrees)
    return Box(
        left=face.left + min(0.0, by * x),
        top=face.top + min(0.0, by * y),
        right=face.right + max(0.0, by * x),
        bottom=face.bottom + max(0.0, by * y),
    )


def no_further(face: Box, labelled: Box, limit: Box) -> Box:
    """A lengthened face whose edges go beyond the labelled one's no further than a limit's."""
    return Box(
        left=min(labelled.left, max(face.left, limit.left)),
        top=min(labelled.top, max(face.top, limit.top)),
        right=max(labelled.right, min(face.right, limit.right)),
        bottom=max(labelled.bottom, min(face.bottom, limit.bottom)),
    )


def _axes(roll_degrees: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Unit vectors down a rotated face, and across it."""
    cosine, sine = math.cos(math.radians(roll_degrees)), math.sin(math.radians(roll_degrees))
    return (-sine, cosine), (cosine, sine)


def _reach(box: Box, x: float, y: float) -> float:
    """How far the ellipse that fills a box reaches in the direction of a unit vector."""
    centre_x, centre_y = box.centre
    return centre_x * x + centre_y * y + math.hypot(box.width / 2 * x, box.height / 2 * y)


def _extent(box: Box, axis: tuple[float, float]) -> float:
    return _reach(box, *axis) + _reach(box, -axis[0], -axis[1])

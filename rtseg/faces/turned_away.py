"""Keep tracking a head that turns away, by its hair, once its face is no longer visible."""

from __future__ import annotations

import numpy as np

from rtseg.faces.parsed_faces import ParsedFace, parsed_head, readable
from rtseg.faces.scoring import Mask
from rtseg.faces.track import Track
from rtseg.frames import Box, Probabilities
from rtseg.geometry.crop import Crop
from rtseg.labels import LabelSet

_REACH = 0.2  # how far the head may have moved, relative to its size
_LEAST_HAIR, _LEAST_HEAD = 0.2, 0.4  # least shares of the head's box: hair; hair or face
_LEAST_SURE = 0.6  # least mean probability of hair and face on their cells
_LEAST_SIZE, _MOST_SIZE = 0.75, 1.3  # relative to its last size; otherwise it is something else


def head_without_face(
    probabilities: Probabilities, crop: Crop, label_set: LabelSet, track: Track
) -> ParsedFace | None:
    """Find what remains of a followed head in its crop; None if it is gone.

    Args:
        probabilities: of the crop, float32 (rows, columns, classes).
        crop: the track's own crop.
        label_set: determines the ids of face and hair.
        track: visible until now.

    Returns:
        The head with `parts` 0, and its face where the head's movement has put it.
    """
    if not label_set.hair:
        return None
    read = readable(probabilities)
    leaders = read.argmax(2)
    near = _cells_in(crop, _grown(track.head, _REACH), *leaders.shape)
    inside = _cells_in(crop, track.head, *leaders.shape)
    hair = np.isin(leaders, label_set.hair)
    head = hair | np.isin(leaders, label_set.face)
    size = max(1, int(np.count_nonzero(inside)))
    if np.count_nonzero(hair & inside) < _LEAST_HAIR * size:
        return None
    if np.count_nonzero(head & inside) < _LEAST_HEAD * size:
        return None
    cells = _largest(head & near)
    sure = float(read[cells][:, [*label_set.face, *label_set.hair]].sum(1).mean())
    if sure < _LEAST_SURE:
        return None
    parsed = parsed_head(read, cells, crop, label_set, face=track.seen_face, sure=min(1.0, sure))
    ratio = parsed.head.height / track.head.height
    if not _LEAST_SIZE < ratio < _MOST_SIZE:
        return None
    (x0, y0), (x1, y1) = track.head.centre, parsed.head.centre
    return parsed_head(
        read,
        cells,
        crop,
        label_set,
        face=_moved(track.seen_face, x1 - x0, y1 - y0),
        sure=parsed.sure,
    )


def _grown(box: Box, share: float) -> Box:
    x, y = share * box.width, share * box.height
    return Box(left=box.left - x, top=box.top - y, right=box.right + x, bottom=box.bottom + y)


def _moved(box: Box, x: float, y: float) -> Box:
    return Box(left=box.left + x, top=box.top + y, right=box.right + x, bottom=box.bottom + y)


def _cells_in(crop: Crop, box: Box, rows: int, columns: int) -> Mask:
    """The cells of a crop whose centres are in a rectangle rotated like the crop."""
    frame = crop.box
    x, y = np.meshgrid(
        frame.left + (np.arange(columns) + 0.5) * (frame.width / columns),
        frame.top + (np.arange(rows) + 0.5) * (frame.height / rows),
    )
    turned = Crop(box=box, roll_degrees=crop.roll_degrees)
    x, y = turned.from_frame(*crop.to_frame(x, y))
    inside: Mask = (x >= box.left) & (x < box.right) & (y >= box.top) & (y < box.bottom)
    return inside


def _largest(cells: Mask) -> Mask:
    import cv2

    count, names = cv2.connectedComponents(cells.view(np.uint8), connectivity=8)
    if count <= 2:
        return cells
    areas = np.bincount(names.reshape(-1), minlength=count)
    largest: Mask = names == 1 + int(areas[1:].argmax())
    return largest

"""Fill small holes in hair, which are nearly always uncertainty rather than real gaps.

A hole is a spot of background, or a spot of hat that may as well be hair: dark hair on a dark
ground looks like felt to a network in places.
"""

from __future__ import annotations

import numpy as np

from rtseg.faces.scoring import Mask
from rtseg.frames import Probabilities
from rtseg.labels import LabelSet
from rtseg.postprocess.labelled_map import LabelledMap

_LARGEST = 0.012  # largest hole, as a share of a map's cells
_LARGEST_HAT = 0.03  # the same of a spot of hat
_LEAST_DOUBT = 0.25  # least mean probability of hair in a spot of hat; inside real hats it is .03
_LEAST_HAIR = 0.7  # least share of hair around a hole; the rest is face
_LEAST_HAIR_HAT = 0.5  # the same around a spot of hat


def fill_holes(labelled: LabelledMap, label_set: LabelSet) -> None:
    """Remove small spots of background, and doubtful ones of hat, inside hair.

    Args:
        labelled: the map, corrected in place.
        label_set: the map's label set; without hair nothing is filled.
    """
    if not label_set.hair:
        return
    hair = labelled.led_by(label_set.hair)
    holes: list[tuple[Mask, list[int]]] = []
    if label_set.background is not None:
        spots = _spots(labelled.leaders == label_set.background, hair, _LARGEST, _LEAST_HAIR)
        if spots is not None:
            holes.append((spots[0] > 0, [label_set.background]))
    hat = labelled.led_by(label_set.hat)
    if hat.any():
        spots = _spots(hat, hair, _LARGEST_HAT, _LEAST_HAIR_HAT)
        if spots is not None:
            doubtful = _doubtful(*spots, labelled.probabilities[..., list(label_set.hair)])
            if doubtful.any():
                holes.append((doubtful, list(label_set.hat)))
    for where, ids in holes:
        cells = labelled.probabilities[where]
        cells[:, ids] = 0.0
        labelled.replace(where, cells)


def _doubtful(names: np.ndarray, count: int, hair: Probabilities) -> Mask:
    """The cells of the spots in which hair is likely enough.

    Args:
        names: the number of each cell's spot, int32 (rows, columns); 0 for none.
        count: one more than the highest number.
        hair: the probabilities of hair, float32 (rows, columns, ids).
    """
    flat = names.reshape(-1)
    sums = np.bincount(flat, weights=hair.sum(2).reshape(-1), minlength=count)
    sizes = np.bincount(flat, minlength=count)
    doubtful = sums >= _LEAST_DOUBT * sizes
    doubtful[0] = False
    mask: Mask = doubtful[names]
    return mask


def _spots(
    of_class: Mask, hair: Mask, largest: float, least_hair: float
) -> tuple[np.ndarray, int] | None:
    """The small spots of a class that hair surrounds; None if there are none.

    All spots are judged together, as there may be dozens of them.

    Args:
        of_class, hair: where the class and hair lead, bool (rows, columns).
        largest: the largest spot, as a share of all cells.
        least_hair: the least share of hair around a spot.

    Returns:
        The number of each cell's spot, int32 (rows, columns), 0 for none; and one more than the
        highest number.
    """
    import cv2

    columns = of_class.shape[1]
    # without statistics it takes a third of the time
    count, names = cv2.connectedComponents(of_class.view(np.uint8), connectivity=4)
    inside = np.ones(count, bool)
    inside[0] = False
    for edge in (names[0], names[-1], names[:, 0], names[:, -1]):
        inside[edge] = False
    if not inside.any():
        return None
    flat = names.reshape(-1)
    cells = np.flatnonzero(inside.take(flat))
    sizes = np.bincount(flat[cells], minlength=count)
    small = inside & (sizes <= largest * of_class.size)
    cells = cells[small[flat[cells]]]
    if not len(cells):
        return None
    # the cells around each spot, corners too, each once per spot, as spot * cells + cell
    around = (cells + _neighbours(columns)[:, None]).reshape(-1)
    whose = np.tile(flat[cells], 8)
    beside = flat[around] != whose
    pairs = np.unique(whose[beside].astype(np.int64) * of_class.size + around[beside])
    spots, ring = pairs // of_class.size, pairs % of_class.size
    ring_cells = np.bincount(spots, minlength=count)
    of_hair = np.bincount(spots, weights=hair.reshape(-1)[ring], minlength=count)
    in_hair = small & (of_hair >= least_hair * ring_cells)
    if not in_hair.any():
        return None
    return np.where(in_hair[names], names, 0), count


def _neighbours(columns: int) -> np.ndarray:
    """Index offsets from a cell to the eight around it, in a map with this many columns."""
    return np.array([y * columns + x for y in (-1, 0, 1) for x in (-1, 0, 1) if x or y])

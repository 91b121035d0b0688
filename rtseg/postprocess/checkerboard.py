"""Remove the checkerboard pattern that a network with a fine head leaves in its maps.

Such a map, at half the input's size, is put together from four coarser ones, one for each quarter
of a coarse cell (Shi et al., CVPR 2016), each computed with weights of its own. Where a network
hesitates between two classes, the four disagree in the same way in every cell, which would show as
teeth along a border, or as rows of dots. A binomial filter removes whatever alternates from one
cell to the next and changes little else.

On 72 validation portraits of CelebAMask-HQ and Helen*, it took away 80% of the cells that differ
from both of their neighbours in a row or column, and raised the mean F1 of CelebAMask-HQ's classes
from .812 to .813 and the overall F1 of Helen* from .883 to .885. Filtering uncertain cells only was
no better, and slower.
"""

from __future__ import annotations

import numpy as np

from rtseg.checkpoint import ModelSpec
from rtseg.frames import Probabilities

# The networks with `rtseg.models.pyramid`'s decoder, and their stride with its fine head. Others of
# that stride compute each cell in the same way.
_PYRAMIDS, _FINE_STRIDE = ("lite-pyramid", "residual-pyramid"), 2
_BINOMIAL = np.array([0.25, 0.5, 0.25], np.float32)


def is_pixel_shuffled(model: ModelSpec) -> bool:
    """Whether a network's maps are put together from coarser ones, cell by cell."""
    return model.architecture in _PYRAMIDS and model.stride == _FINE_STRIDE


def remove_checkerboard(probabilities: Probabilities, model: ModelSpec) -> Probabilities:
    """Remove what alternates from cell to cell, if the map is put together from coarser ones.

    Args:
        probabilities: float32 (rows, columns, classes); not modified.
        model: the network that computed them.

    Returns:
        float32 of the same shape; the same map unless `is_pixel_shuffled(model)`.
    """
    import cv2

    if not is_pixel_shuffled(model):
        return probabilities
    # reflected about the outermost cells, so that what alternates goes there too
    even: Probabilities = cv2.sepFilter2D(
        probabilities, -1, _BINOMIAL, _BINOMIAL, borderType=cv2.BORDER_REFLECT_101
    ).reshape(probabilities.shape)
    return even

"""The heads that a data set leaves unlabelled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtseg.frames import Image
from rtseg.labels import HELEN
from tests.training.conftest import draw_face
from training.bystanders import bystanders
from training.datasets.base import Sample


class ByColour:
    """Sees the palette's colours, as a perfect network sees faces."""

    batch = 2

    def probabilities(self, images: Sequence[Image]) -> list[np.ndarray]:
        palette = np.array(HELEN.colours, np.int32)
        found = []
        for image in images:
            near = np.abs(image[:, :, None].astype(np.int32) - palette).sum(3) < 20
            found.append(near.astype(np.float32).transpose(2, 0, 1))
        return found


def test_only_other_heads_with_parts_are_marked():
    image, labels = draw_face()
    small = np.ascontiguousarray(image[::4, ::4])
    face = small[2:52, 12:52]
    image[5:55, 3:43] = face  # somebody else, unlabelled
    image[200:250, 200:250] = HELEN.colours[1]  # a hand: skin without parts
    (mask,) = bystanders(
        ByColour(),  # type: ignore[arg-type]
        [Sample(name="a", image=image, labels=labels)],
        HELEN,
    )
    assert mask[25, 23]
    assert not mask[225, 225]
    assert not mask[labels > 0].any()
    assert mask.sum() < 60 * 60

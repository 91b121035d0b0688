"""Helen* as models of the nineteen classes are evaluated on it.

Helen* labels one person per picture, and no glasses. So glasses count as correct on skin, brows and
eyes, and the faces of other people (`training.data.bystanders`) do not count: a model that labels
everyone is not penalised.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from rtseg.labels import HELEN, IGNORED
from training.data.base import Sample
from training.data.bystanders import Box, listed_bystanders, read_boxes
from training.data.face_targets import FaceTargets, from_helen
from training.data.helen import Helen


def measured_helen(data: Path, split: str) -> FaceTargets:
    """The pictures of one split, `val` or `report`.

    Raises:
        SourceError: data is missing.
    """
    return FaceTargets(
        dataset=Helen(root=data, split=split), convert=partial(as_measured, boxes=read_boxes())
    )


def as_measured(sample: Sample, *, boxes: Mapping[str, list[Box]]) -> Sample:
    """Read one picture, with its bystanders' pixels ignored."""
    (others,) = listed_bystanders([sample], HELEN, dict(boxes))
    labels = np.where(others, np.uint8(IGNORED), sample.labels)
    return from_helen(dataclasses.replace(sample, labels=labels), glasses=True)

"""The people that a finder is trained and measured on, and pictures without people.

The face of a bust is its box from forehead to chin and from ear to ear, whatever its data set
labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from rtseg.frames import Image
from rtseg.labels import FASSEG
from training.augment.busts import Bust, bust_of, chin_below, eye_middles
from training.data.backgrounds import Backgrounds
from training.data.base import Sample, samples_of
from training.data.bystanders import read_boxes
from training.data.fasseg import Fasseg
from training.data.helen import Helen
from training.data.listed import open_celebamask
from training.data.masked_faces import MaskedFaces

_LONGEST_BACKGROUND = 640  # pixels per side: views need no more


def celebamask_bust(sample: Sample) -> Bust | None:
    """A bust of CelebAMask-HQ: ears and glasses are part of the face."""
    labels = sample.labels
    return bust_of(
        sample.image,
        face=(labels >= 1) & (labels <= 12),
        person=(labels >= 1) & (labels <= 18),
        eyes=eye_middles(labels, 4, 5),
    )


def helen_bust(sample: Sample, *, shows_others: bool) -> Bust | None:
    """A bust of Helen*: neck and clothes are not labelled."""
    labels = sample.labels
    return bust_of(
        sample.image,
        face=(labels >= 1) & (labels <= 9),
        person=(labels >= 1) & (labels <= 10),
        eyes=eye_middles(labels, 4, 5),
        shows_others=shows_others,
    )


def fasseg_bust(sample: Sample) -> Bust | None:
    """A bust of FASSEG, which includes profiles; its skin label extends below the chin."""
    height = 288
    width = round(sample.image.shape[1] * height / sample.image.shape[0])
    image = cv2.resize(sample.image, (width, height), interpolation=cv2.INTER_AREA)
    labels = cv2.resize(sample.labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    chin = chin_below(labels, eyes=[4], mouth=[5])
    if chin is None:
        return None
    face = np.isin(labels, FASSEG.face)
    face[min(height, round(chin)) :] = False
    return bust_of(image, face=face, person=(labels >= 1) & (labels <= 5))


def masked_bust(sample: Sample) -> Bust | None:
    """A bust with a medical mask; hair is not labelled."""
    return bust_of(sample.image, face=np.isin(sample.labels, (1, 2)), person=None)


def busts(data: Path, split: str) -> list[tuple[list[Bust], float]]:
    """The busts of a split by data set, and how often each data set is drawn."""
    others = read_boxes()
    kinds: list[tuple[Iterator[Bust | None], float]] = [
        ((celebamask_bust(sample) for sample in samples_of(open_celebamask(data, split))), 0.5),
        (
            (
                helen_bust(sample, shows_others=sample.name in others)
                for sample in samples_of(Helen(root=data, split=split))
            ),
            0.24,
        ),
        ((masked_bust(sample) for sample in samples_of(MaskedFaces(root=data, split=split))), 0.12),
    ]
    if split != "report":
        profiles = Fasseg(root=data, version="v3", split=split)
        kinds.append(((fasseg_bust(sample) for sample in samples_of(profiles)), 0.14))
    return [([bust for bust in kind if bust is not None], share) for kind, share in kinds]


def faceless(data: Path, split: str) -> list[Image]:
    """The face-free pictures of a split, no larger than views need."""
    pictures = []
    backgrounds = Backgrounds(root=data, split=split)
    for index in range(len(backgrounds)):
        picture = backgrounds[index]
        shrink = _LONGEST_BACKGROUND / max(picture.shape[:2])
        if shrink < 1:
            size = (round(picture.shape[1] * shrink), round(picture.shape[0] * shrink))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        pictures.append(picture)
    return pictures

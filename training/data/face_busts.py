"""The people that a finder is trained and measured on, and pictures without people.

The face of a bust is its box from forehead to chin and from ear to ear, whatever its data set
labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

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

_TURNED = 0.16
"""How far, in widths of the face, the middle of both eyes is from the face's in a turned one."""

_TURNED_DEGREES = 30
_LENS = 3  # CelebAMask-HQ's id of glasses
_LEAST_GLASSES = 300  # pixels of a picture of 288x288

_LONGEST_BACKGROUND = 640  # pixels per side: views need no more


def celebamask_bust(sample: Sample) -> Bust | None:
    """A bust of CelebAMask-HQ: ears and glasses are part of the face."""
    labels = sample.labels
    face = (labels >= 1) & (labels <= 12)
    eyes = eye_middles(labels, 4, 5)
    return bust_of(
        sample.image,
        face=face,
        person=(labels >= 1) & (labels <= 18),
        eyes=eyes,
        is_turned=_is_turned(face, eyes),
    )


def _is_turned(face: npt.NDArray[np.bool_], eyes: Sequence[tuple[float, float]]) -> bool:
    columns = np.nonzero(face)[1]
    if len(eyes) < 2 or not len(columns):
        return False
    middle = (eyes[0][0] + eyes[1][0]) / 2
    off = abs(middle - (columns.min() + columns.max()) / 2)
    return bool(off > _TURNED * np.ptp(columns))


def sunglasses(data: Path, split: str) -> list[Bust]:
    """People of CelebAMask-HQ who wear glasses, with dark lenses; each in two shades."""
    people: list[Bust] = []
    for index, sample in enumerate(samples_of(open_celebamask(data, split))):
        glasses = sample.labels == _LENS
        if np.count_nonzero(glasses) < _LEAST_GLASSES:
            continue
        rng = np.random.default_rng(index)
        for shade in (rng.uniform(0.05, 0.2), rng.uniform(0.2, 0.45)):
            bust = celebamask_bust(replace(sample, image=_darkened(sample.image, glasses, shade)))
            if bust is not None:
                people.append(bust)
    return people


def _darkened(image: Image, glasses: npt.NDArray[np.bool_], shade: float) -> Image:
    cover = cv2.GaussianBlur(glasses.astype(np.float32), (0, 0), 0.8)[..., None]
    darkened: Image = (image * (1 - cover * (1 - shade))).astype(np.uint8)
    return darkened


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
    turned = abs(int(sample.name.partition("/")[0])) >= _TURNED_DEGREES
    return bust_of(image, face=face, person=(labels >= 1) & (labels <= 5), is_turned=turned)


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

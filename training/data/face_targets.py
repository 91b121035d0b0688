"""Convert each data set's labels to the shipped model's classes, or sets of them.

The data sets distinguish different classes: ears are background in Helen* and skin in FASSEG, and
Figaro-1k has only hair. Each of their ids becomes one class, or the set of classes that it may
stand for; a set's value is its index in `SETS` plus `training.losses.functions.FIRST_SET`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from rtseg.labels import CELEBAMASK, FACE_PARTS, LabelSet
from training.data.base import Dataset, Sample
from training.data.helen import LABEL_OFFSET
from training.losses.functions import FIRST_SET, Sets, looked_up

_ID = {name: index for index, name in enumerate(FACE_PARTS.names)}


def _ids(names: str) -> tuple[int, ...]:
    return tuple(_ID[name] for name in names.split())


_BROWS, _EYES = "left-brow right-brow", "left-eye right-eye"
_MOUTH = "upper-lip inner-mouth lower-lip"
_UNLABELLED = "background left-ear right-ear hat earring necklace neck clothes"

_NAMED_SETS: Mapping[str, tuple[int, ...]] = {
    # Helen*: everything but the face and hair of one person is background
    "helen-background": _ids(_UNLABELLED),
    # Helen* paints skin, brows and eyes over and through glasses
    "glasses-background": _ids(f"{_UNLABELLED} glasses"),
    "glasses-skin": _ids("skin glasses"),
    "glasses-left-brow": _ids("left-brow glasses"),
    "glasses-right-brow": _ids("right-brow glasses"),
    "glasses-left-eye": _ids("left-eye glasses"),
    "glasses-right-eye": _ids("right-eye glasses"),
    "glasses-nose": _ids("nose glasses"),
    "glasses-hair": _ids("hair glasses"),
    # FASSEG: skin includes ears and neck, eyebrows are hair, clothes are background
    "fasseg-background": _ids("background clothes hat earring necklace"),
    "fasseg-skin": _ids("skin left-ear right-ear neck glasses"),
    "fasseg-skin-or-nose": _ids("skin nose glasses"),
    "fasseg-above-eyes": _ids(f"skin nose {_BROWS} glasses"),
    "fasseg-brow": _ids(_BROWS),
    "fasseg-brow-or-hair": _ids(f"{_BROWS} hair"),
    "fasseg-eye": _ids(f"{_EYES} glasses"),
    "fasseg-mouth": _ids(_MOUTH),
    # Figaro-1k: hair, or anything else
    "figaro-other": tuple(index for index in range(len(FACE_PARTS)) if index != _ID["hair"]),
    # masked faces: the visible face, the mask, anything else
    "masked-other": _ids("background hair left-ear right-ear hat earring necklace neck clothes"),
    "masked-face": _ids(f"skin {_BROWS} {_EYES} nose left-ear right-ear glasses"),
    "masked-mask": _ids("background clothes"),
}

SETS: Sets = tuple(_NAMED_SETS.values())
"""The classes of each set; a correct prediction is counted as the first of them."""

_VALUE = {name: FIRST_SET + place for place, name in enumerate(_NAMED_SETS)}

_CELEBAMASK_NAMES = {
    # the subject's left is the viewer's right
    "left-eye": "right-eye",
    "right-eye": "left-eye",
    "left-brow": "right-brow",
    "right-brow": "left-brow",
    "left-ear": "right-ear",
    "right-ear": "left-ear",
    "cloth": "clothes",
}

FLIPPED_SETS = {
    _VALUE["glasses-left-brow"]: _VALUE["glasses-right-brow"],
    _VALUE["glasses-right-brow"]: _VALUE["glasses-left-brow"],
    _VALUE["glasses-left-eye"]: _VALUE["glasses-right-eye"],
    _VALUE["glasses-right-eye"]: _VALUE["glasses-left-eye"],
}
"""The mirror images of sets that distinguish left and right."""


def _table(changes: Mapping[int, int]) -> npt.NDArray[np.uint8]:
    table = np.arange(256, dtype=np.uint8)
    for before, after in changes.items():
        table[before] = after
    return table


_FROM_CELEBAMASK = _table(
    {index: _ID[_CELEBAMASK_NAMES.get(name, name)] for index, name in enumerate(CELEBAMASK.names)}
)

_FROM_HELEN = _table({0: _VALUE["helen-background"]})

_FROM_HELEN_WITH_GLASSES = _table(
    {
        0: _VALUE["glasses-background"],
        _ID["skin"]: _VALUE["glasses-skin"],
        _ID["left-brow"]: _VALUE["glasses-left-brow"],
        _ID["right-brow"]: _VALUE["glasses-right-brow"],
        _ID["left-eye"]: _VALUE["glasses-left-eye"],
        _ID["right-eye"]: _VALUE["glasses-right-eye"],
        _ID["nose"]: _VALUE["glasses-nose"],
        _ID["hair"]: _VALUE["glasses-hair"],
    }
)

_FROM_FASSEG = {
    (0, 1): "fasseg-skin",
    (1, 6): "fasseg-skin-or-nose",
    (1, 2, 3, 6): "fasseg-above-eyes",
    (2, 3): "fasseg-brow",
    (2, 3, 10): "fasseg-brow-or-hair",
    (4, 5): "fasseg-eye",
    (7, 8, 9): "fasseg-mouth",
}
"""Conversion of the sets of Helen*'s classes in which FASSEG is read."""

_FROM_FIGARO = _table({0: _VALUE["figaro-other"], 1: _ID["hair"]})

_FROM_MASKED = _table(
    {0: _VALUE["masked-other"], 1: _VALUE["masked-face"], 2: _VALUE["masked-mask"]}
)


def _mapped(sample: Sample, table: npt.NDArray[np.uint8]) -> Sample:
    labels = looked_up(sample.labels, table)
    return dataclasses.replace(sample, labels=labels, sets=SETS)


def from_celebamask(sample: Sample) -> Sample:
    """Convert CelebAMask-HQ, which has every class, with left and right the subject's."""
    return _mapped(sample, _FROM_CELEBAMASK)


def from_helen(sample: Sample, *, glasses: bool) -> Sample:
    """Convert Helen*, which has no ears, neck, clothes, hats, jewellery or glasses.

    Its labels are offset by half a pixel, which the sample states.

    Args:
        glasses: whether the person may wear glasses; skin, brows and eyes may then be glasses.
    """
    displaced = dataclasses.replace(sample, label_offset=LABEL_OFFSET)
    return _mapped(displaced, _FROM_HELEN_WITH_GLASSES if glasses else _FROM_HELEN)


def from_fasseg(sample: Sample, sets: Sets) -> Sample:
    """Convert FASSEG as read by `training.data.fasseg.as_helen`, with that module's sets."""
    changes = {FIRST_SET + k: _VALUE[_FROM_FASSEG[tuple(ids)]] for k, ids in enumerate(sets)}
    return _mapped(sample, _table({0: _VALUE["fasseg-background"], **changes}))


def from_figaro(sample: Sample) -> Sample:
    """Convert Figaro-1k: hair, or anything but hair."""
    return _mapped(sample, _FROM_FIGARO)


def from_masked(sample: Sample) -> Sample:
    """Convert masked faces: a mask is neither skin, nose, lips nor mouth."""
    return _mapped(sample, _FROM_MASKED)


@dataclass(frozen=True, kw_only=True)
class FaceTargets:
    """A data set converted to the shipped model's classes, or sets of them.

    Attributes:
        dataset: the data set as stored.
        convert: one of this module's functions.
    """

    dataset: Dataset
    convert: Callable[[Sample], Sample]
    label_set: ClassVar[LabelSet] = FACE_PARTS

    @property
    def names(self) -> tuple[str, ...]:
        """The samples' names in order."""
        return self.dataset.names

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        return self.convert(self.dataset[index])

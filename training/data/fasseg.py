"""FASSEG (Khan et al., 2015; Benini et al., 2019): frontal01, frontal02, multipose01 (V1, V2, V3).

Layouts: `fasseg/{V1,V2}/{Train,Test}_{RGB,Labels}/N.bmp` and
`fasseg/V3/{Train,Test}_{RGB,labels}/<yaw>/NAME.bmp`; PNG and JPEG in place of BMP are read too.
Labels are colours, antialiased in V2 and some of them 32-bit. So each pixel takes the nearest
colour of the palette instead of an exact match, and only then are labels resized, by nearest
neighbour.
V1 and V2 show the same photos. Six test photos of V1 and V2 are identical to training photos.
V3 is split by person: persons 03 and 06 are held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import cv2
import numpy as np

from rtseg.errors import SettingError, SourceError, listed
from rtseg.frames import Image, LabelMap
from rtseg.labels import FASSEG, LabelSet
from training.data.base import Sample, read_image, read_split
from training.data.origin import Origin, check_split, find_root
from training.data.pairs import Pair, PairedFiles
from training.losses.functions import FIRST_SET, Sets

TERMS = (
    "FASSEG (https://github.com/massimomauro/FASSEG-repository): no licence, asks for citation; "
    "for research"
)

LEAKED_TEST_NAMES = frozenset(("13", "17", "20", "23", "26", "44"))
"""Test photos of V1 and V2 that are the training photos 17, 16, 18, 19, 15 and 20."""

HELD_OUT = 2
"""How many of the 20 training photos the published run uses for validation."""

SPLITS = ("train", "val", "published-train", "published-val", "test", "test-all")

PURE = 0.3
"""The least share of a label's pixels that must be close to the palette (24 levels per channel)."""

HELEN_SETS: Sets = (
    (0, 1),
    (1, 6),
    (1, 2, 3, 6),
    (2, 3),
    (2, 3, 10),
    (4, 5),
    (7, 8, 9),
)
"""Sets that `as_helen` writes as FIRST_SET + k: the classes of Helen* that a pixel may be."""

_SKIN_OR_NECK, _SKIN_OR_NOSE, _ABOVE_EYES, _BROW, _BROW_OR_HAIR, _EYE, _MOUTH = (
    FIRST_SET + k for k in range(len(HELEN_SETS))
)


@dataclass(frozen=True, kw_only=True)
class Fasseg:
    """The pairs of one version and split, with ids of `FASSEG`.

    Args:
        root: the data folder.
        version: V1 and V2 label the same photos, V2 more finely; V3 shows 13 yaws.
        split: `train` and `val` are the committed lists, made of training names only;
            `published-train` and `published-val` (V1, V2) are its first 18 names and the last 2;
            `test` omits photos that are also in the training names, `test-all` does not.
    """

    root: Path
    version: Literal["v1", "v2", "v3"]
    split: str
    label_set: ClassVar[LabelSet] = FASSEG
    names: tuple[str, ...] = field(init=False)
    pairs: PairedFiles = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_split(self.split, SPLITS, what="FASSEG")
        root = find_root(
            self.root,
            inside=(f"fasseg/{self.version.upper()}", self.version.upper()),
            needs=("Test_RGB" if self.split.startswith("test") else "Train_RGB",),
            advice=ORIGIN.advice,
        )
        names = _names(root, self.version, self.split)
        part = "Test" if self.split.startswith("test") else "Train"
        pairs = tuple(
            Pair(
                name=name,
                image=_file(root, (f"{part}_RGB",), name),
                labels=_file(root, (f"{part}_Labels", f"{part}_labels"), name),
            )
            for name in names
        )
        files = PairedFiles(pairs=pairs, label_set=FASSEG, decode=read_painted, scaled_labels=True)
        object.__setattr__(self, "root", root)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "pairs", files)

    def __len__(self) -> int:
        return len(self.names)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files of the photo and its labels."""
        return self.pairs.files(index)

    def __getitem__(self, index: int) -> Sample:
        return self.pairs[index]


def _names(root: Path, version: str, split: str) -> tuple[str, ...]:
    if split in ("train", "val"):
        # V1 shows V2's photos
        return read_split(f"fasseg-{'v3' if version == 'v3' else 'v2'}-{split}")
    if split.startswith("published") and version == "v3":
        raise SettingError("the published split is one of V1 and V2; V3 has train, val and test")
    folder = root / ("Test_RGB" if split.startswith("test") else "Train_RGB")
    pattern = "*/*.*" if version == "v3" else "*.*"
    unsorted_names = {
        str(path.relative_to(folder).with_suffix("")) for path in folder.glob(pattern)
    }
    names = sorted(unsorted_names, key=lambda name: (len(name), name))
    if split == "published-train":
        names = names[:-HELD_OUT]
    elif split == "published-val":
        names = names[-HELD_OUT:]
    elif split == "test" and version != "v3":
        names = [name for name in names if name not in LEAKED_TEST_NAMES]
    if not names:
        raise SourceError(f"{folder}: holds no pictures")
    return tuple(names)


def _file(root: Path, folders: Sequence[str], name: str) -> Path:
    """The file of this name in the first folder and with the first suffix that exist."""
    choices = [
        root / folder / f"{name}{suffix}"
        for folder in folders
        for suffix in (".bmp", ".png", ".jpg")
    ]
    return next((path for path in choices if path.exists()), choices[0])


def read_painted(path: Path, label_set: LabelSet) -> LabelMap:
    """Read labels drawn in a palette's colours as ids.

    Raises:
        SourceError: it cannot be read, or most colours are not in the palette.
    """
    painted = read_image(path)
    labels = nearest_colour(painted, label_set)
    palette = np.array(label_set.colours, np.int16)
    off = np.abs(painted.astype(np.int16) - palette[labels]).max(2) > 24
    if off.mean() > 1 - PURE:
        row, column = np.argwhere(off)[0]
        raise SourceError(
            f"{path}: {off.mean():.0%} of its pixels have no colour of {label_set.name}, the first "
            f"is {tuple(int(v) for v in painted[row, column])} at row {row}, column {column}; "
            f"its palette is {listed(label_set.colours)}"
        )
    return labels


def nearest_colour(painted: Image, label_set: LabelSet) -> LabelMap:
    """The id of the palette colour nearest to each pixel, uint8 (height, width)."""
    palette = np.array(label_set.colours, np.int32)
    far = ((painted[:, :, None].astype(np.int32) - palette) ** 2).sum(3)
    return np.asarray(far.argmin(2), np.uint8)


def _opened(version: Literal["v1", "v2", "v3"]) -> Callable[[Path, str], Fasseg]:
    return lambda data, split: Fasseg(root=data, version=version, split=split)


ORIGIN = Origin(
    name="fasseg-v2",
    homepage="https://github.com/massimomauro/FASSEG-repository",
    terms="no licence, asks for citation; for research",
    layout="fasseg/V2/{Train,Test}_{RGB,Labels}/*.bmp",
    splits=SPLITS,
    open=_opened("v2"),
)
ORIGIN_V1 = replace(ORIGIN, name="fasseg-v1", layout=ORIGIN.layout.replace("V2", "V1"))
ORIGIN_V1 = replace(ORIGIN_V1, open=_opened("v1"))
ORIGIN_V3 = replace(
    ORIGIN,
    name="fasseg-v3",
    layout="fasseg/V3/{Train,Test}_{RGB,labels}/<yaw>/*.bmp",
    splits=("train", "val", "test"),
    open=_opened("v3"),
)


def as_helen(sample: Sample, *, height: int) -> Sample:
    """Resize a sample to `height` pixels and convert its labels to Helen* or sets (HELEN_SETS).

    Where FASSEG is coarser than Helen*, a pixel's target is the set of possible classes, narrowed
    down by position (skin close to the eyes and nose, two eyes side by side).
    """
    width = round(sample.image.shape[1] * height / sample.image.shape[0])
    image = cv2.resize(sample.image, (width, height), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(sample.labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    background, skin, hair, nose, eyes, mouth = (coarse == i for i in range(6))
    labels = np.zeros(coarse.shape, np.uint8)
    labels[background] = 0
    labels[skin] = _SKIN_OR_NECK
    labels[nose] = 6
    labels[mouth] = _MOUTH
    labels[eyes] = _EYE
    labels[hair] = 10
    eye_parts = _components(eyes, smallest=12)
    if len(eye_parts) == 2:
        (first, x_first, _), (second, x_second, _) = eye_parts
        labels[first], labels[second] = (4, 5) if x_first < x_second else (5, 4)
    if eye_parts and mouth.any():
        eye_row = float(np.mean([row for _, _, row in eye_parts]))
        apart = max(8.0, float(np.nonzero(mouth)[0].mean()) - eye_row)
        far = cv2.distanceTransform(
            (~(eyes | nose | mouth)).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3
        )
        rows = np.arange(height)[:, None]
        near = skin & (far < 0.3 * apart)
        labels[near] = _SKIN_OR_NOSE
        labels[near & (rows < eye_row)] = _ABOVE_EYES  # thin brows are often left unmarked
        labels[skin & (rows < eye_row - 0.45 * apart)] = 1
        _mark_brows(labels, hair, eye_parts, eye_row=eye_row, apart=apart)
    return Sample(name=sample.name, image=image, labels=labels)


_Component = tuple[np.ndarray, float, float]  # mask, mean column, mean row


def _components(mask: np.ndarray, *, smallest: int) -> list[_Component]:
    count, marks, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return [
        (marks == i, float(centres[i][0]), float(centres[i][1]))
        for i in range(1, count)
        if stats[i, cv2.CC_STAT_AREA] >= smallest
    ]


def _mark_brows(
    labels: LabelMap,
    hair: np.ndarray,
    eye_parts: list[_Component],
    *,
    eye_row: float,
    apart: float,
) -> None:
    """Mark small components of hair just above an eye as brows; uncertain ones become sets."""
    pieces = _components(hair, smallest=6)
    largest = max((int(mask.sum()) for mask, _, _ in pieces), default=0)
    for mask, column, row in pieces:
        area = int(mask.sum())
        if area == largest and area > 0.05 * hair.size:
            continue
        above = 0 < eye_row - row < 0.8 * apart
        beside = min(abs(column - x) for _, x, _ in eye_parts) < 0.7 * apart
        if not (above and beside and area < apart * apart):
            labels[mask] = _BROW_OR_HAIR
        elif len(eye_parts) == 2:
            left, right = sorted(x for _, x, _ in eye_parts)
            labels[mask] = 2 if abs(column - left) < abs(column - right) else 3
        else:
            labels[mask] = _BROW

"""CelebAMask-HQ (Lee et al., CVPR 2020): 30,000 faces, up to 18 masks each.

Layout: `CelebAMask-HQ/{CelebA-HQ-img/N.jpg,CelebAMask-HQ-mask-anno/K/NNNNN_PART.png,
CelebA-HQ-to-CelebA-mapping.txt}`, where K = N // 2000; parts that a face does not show have no
file. The masks overlap, and are painted in the order of the ids, so that eyes, nose and lips end up
over the skin. Masks are 512x512 and pictures 1024x1024; samples have the masks' size. Left and
right are the subject's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from rtseg.errors import SourceError
from rtseg.frames import LabelMap
from rtseg.labels import CELEBAMASK, LabelSet
from training.data.base import Sample, read_grey, read_image
from training.data.origin import Origin, check_split, find_root
from training.data.pairs import shrunk_to

PARTS = (
    *("skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear"),
    *("mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth"),
)
"""The files' names for the ids 1..18, in painting order. `ear_r` is an earring, `neck_l` a
necklace, so names are compared whole, never by prefix."""

FAULTY = {404: "the mouth is missing", 2110: "the masks are displaced", 4790: "the masks are empty"}
"""Pictures whose masks are known to be wrong; they are not in any training split."""

CELEBA_PARTITION = (162_770, 182_637)
"""CelebA's official partition: pictures before the first are train, before the second val."""

IMAGES, MASKS, MAPPING = (
    "CelebA-HQ-img",
    "CelebAMask-HQ-mask-anno",
    "CelebA-HQ-to-CelebA-mapping.txt",
)
SPLITS = ("train", "val", "test", "published-train", "published-val")


@dataclass(frozen=True, kw_only=True)
class CelebAMask:
    """The faces of one split.

    Args:
        root: the data folder, or `CelebAMask-HQ` itself.
        split: `train`, `val` and `test` follow CelebA's partition through the mapping file;
            `published-train` and `published-val` are the first 80% of the ids and the rest.
    """

    root: Path
    split: str
    label_set: ClassVar[LabelSet] = CELEBAMASK
    ids: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        check_split(self.split, SPLITS, what="CelebAMask-HQ")
        root = find_root(
            self.root, inside=("CelebAMask-HQ",), needs=(IMAGES, MASKS), advice=ORIGIN.advice
        )
        object.__setattr__(self, "root", root)
        chosen = _published(root, self.split) if "-" in self.split else _official(root, self.split)
        if self.split.endswith("train"):
            chosen = [number for number in chosen if number not in FAULTY]
        if not chosen:
            raise SourceError(f"{root}: the split {self.split!r} is empty")
        object.__setattr__(self, "ids", tuple(chosen))

    @property
    def names(self) -> tuple[str, ...]:
        """The ids as text."""
        return tuple(str(number) for number in self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files of the picture and its existing masks."""
        number = self.ids[index]
        masks = (self._mask(number, part) for part in PARTS)
        return self._image(number), *(path for path in masks if path.exists())

    def unexpected(self) -> tuple[str, ...]:
        """Mask files of unknown parts, and faces known to be faulty."""
        part_names = frozenset(PARTS)
        strays = (
            str(path)
            for path in (self.root / MASKS).glob("*/*")
            if path.suffix != ".png" or path.stem.partition("_")[2] not in part_names
        )
        faulty = (
            f"{number}: {fault}"
            for number, fault in FAULTY.items()
            if number in self.ids or self.split.endswith("train")
        )
        return *sorted(strays), *faulty

    def __getitem__(self, index: int) -> Sample:
        number = self.ids[index]
        image = read_image(self._image(number))
        labels = self._painted(number)
        sample = Sample(name=str(number), image=image, labels=labels)
        return shrunk_to(sample, height=labels.shape[0], width=labels.shape[1])

    def _image(self, number: int) -> Path:
        return self.root / IMAGES / f"{number}.jpg"

    def _mask(self, number: int, part: str) -> Path:
        return self.root / MASKS / str(number // 2000) / f"{number:05d}_{part}.png"

    def _painted(self, number: int) -> LabelMap:
        labels: LabelMap | None = None
        for label_id, part in enumerate(PARTS, start=1):
            path = self._mask(number, part)
            if not path.exists():
                continue
            mask = read_grey(path)
            if labels is None:
                labels = np.zeros(mask.shape, np.uint8)
            if mask.shape != labels.shape:
                raise SourceError(
                    f"{path}: this mask is {mask.shape[1]}x{mask.shape[0]}, the face's others are "
                    f"{labels.shape[1]}x{labels.shape[0]}"
                )
            _check_binary(mask, path)
            labels[mask > 127] = label_id
        if labels is None:
            raise SourceError(f"{self._mask(number, '*')}: the face {number} has no masks")
        return labels


def _check_binary(mask: LabelMap, path: Path) -> None:
    """Check that a mask is black and white."""
    counts = np.bincount(mask.ravel(), minlength=256)
    grey = np.flatnonzero(counts[1:255]) + 1
    if grey.size:
        raise SourceError(
            f"{path}: holds the value {grey[0]} in {counts[grey[0]]} pixels; a mask has 0 and 255"
        )


def _numbers(root: Path) -> list[int]:
    """The ids of the existing pictures."""
    return sorted(int(path.stem) for path in (root / IMAGES).glob("*.jpg") if path.stem.isdigit())


def _published(root: Path, split: str) -> list[int]:
    numbers = _numbers(root)
    cut = len(numbers) * 8 // 10
    return numbers[:cut] if split == "published-train" else numbers[cut:]


def _official(root: Path, split: str) -> list[int]:
    present = set(_numbers(root))
    train_end, val_end = CELEBA_PARTITION
    parts: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for number, original in _mapping(root / MAPPING):
        part = "train" if original < train_end else "val" if original < val_end else "test"
        if number in present:
            parts[part].append(number)
    return sorted(parts[split])


def _mapping(path: Path) -> list[tuple[int, int]]:
    """(id, id in CelebA) from lines `idx orig_idx orig_file` under a heading."""
    try:
        lines = path.read_text("utf-8").splitlines()[1:]
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be read: {error.strerror}; the official split needs it, "
            "the splits published-train and published-val do not"
        ) from None
    pairs = []
    for count, line in enumerate(lines, start=2):
        words = line.split()
        if not words:
            continue
        try:
            pairs.append((int(words[0]), int(words[1])))
        except (ValueError, IndexError):
            raise SourceError(f"{path}: line {count} is not `idx orig_idx orig_file`") from None
    return pairs


ORIGIN = Origin(
    name="celebamask",
    homepage="https://github.com/switchablenorms/CelebAMask-HQ",
    terms="non-commercial research only, no redistribution; faces of CelebA",
    layout="CelebAMask-HQ/{CelebA-HQ-img,CelebAMask-HQ-mask-anno,CelebA-HQ-to-CelebA-mapping.txt}",
    splits=SPLITS,
    open=lambda data, split: CelebAMask(root=data, split=split),
)

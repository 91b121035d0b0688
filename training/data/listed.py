"""Data sets of `images/NAME.jpg` and `labels/NAME.png` pairs, split by committed lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rtseg.labels import CELEBAMASK, LabelSet
from training.data.base import Dataset, Sample, read_split
from training.data.origin import Origin, check_split, find_root
from training.data.pairs import Pair, PairedFiles

SPLITS = ("train", "val", "report")

FIGARO = LabelSet(
    name="figaro", names=("other", "hair"), colours=((0, 0, 0), (146, 84, 214)), hair=(1,)
)
"""Figaro-1k (Svanera et al., ICIP 2016): everything but hair is unlabelled."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The pairs of one split list.

    Args:
        root: the data folder, or the data set's own.
        split: `train`, `val` or `report`; the lists are seeded shuffles of the names, with
            near-duplicates in the same split.
            folder: the data set's folder in the data folder.
            lists: the split lists are named `LISTS-SPLIT`.
            label_set: the meaning of the ids.
            advice: where to get the data set.
            scaled_labels: whether labels may differ in size from their pictures.
    """

    root: Path
    split: str
    folder: str
    lists: str
    label_set: LabelSet
    advice: str
    names: tuple[str, ...] = field(init=False)
    pairs: PairedFiles = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_split(self.split, SPLITS, what=self.label_set.name)
        names = read_split(f"{self.lists}-{self.split}")
        part, _, _ = names[0].rpartition("/")
        needs = (f"{part}/images" if part else "images",)
        root = find_root(self.root, inside=(self.folder,), needs=needs, advice=self.advice)
        pairs = tuple(_pair(root, name) for name in names)
        object.__setattr__(self, "root", root)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "pairs", PairedFiles(pairs=pairs, label_set=self.label_set))

    def __len__(self) -> int:
        return len(self.names)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files of the picture and its labels."""
        return self.pairs.files(index)

    def __getitem__(self, index: int) -> Sample:
        return self.pairs[index]


def _pair(root: Path, name: str) -> Pair:
    part, _, stem = name.rpartition("/")
    return Pair(
        name=name,
        image=root / part / "images" / f"{stem}.jpg",
        labels=root / part / "labels" / f"{stem}.png",
    )


def open_celebamask(data: Path, split: str) -> Dataset:
    """Open CelebAMask-HQ with one label picture per face, `{train,extra}/{images,labels}`."""
    return Listed(
        root=data,
        split=split,
        folder="celebamask-hq",
        lists="celebamask",
        label_set=CELEBAMASK,
        advice=CELEBAMASK_LABELS.advice,
    )


def open_figaro(data: Path, split: str) -> Dataset:
    """Open Figaro-1k's training photos."""
    return Listed(
        root=data,
        split=split,
        folder="figaro1k",
        lists="figaro",
        label_set=FIGARO,
        advice=FIGARO_1K.advice,
    )


CELEBAMASK_LABELS = Origin(
    name="celebamask-labels",
    homepage="https://github.com/switchablenorms/CelebAMask-HQ",
    terms="non-commercial research and education only, no redistribution; faces of CelebA",
    layout="celebamask-hq/{train,extra}/{images/NAME.jpg,labels/NAME.png}, official ids 0..18",
    splits=SPLITS,
    open=open_celebamask,
    overlaps=("celebamask",),
)

FIGARO_1K = Origin(
    name="figaro",
    homepage="http://projects.i-ctm.eu/it/progetto/figaro-1k",
    terms="for research",
    layout="figaro1k/{images/NAME.jpg,labels/NAME.png}, 1 is hair",
    splits=SPLITS,
    open=open_figaro,
)

"""BDD100K's drivable area (Yu et al., CVPR 2020): the road from a windscreen.

Layout: `bdd100k/{images/100k,labels/drivable/masks}/{train,val}/NAME.{jpg,png}`, 1280x720. In the
masks, 0 is the ego lane ("direct"), 1 an alternative lane, and 2 everything else (about 12%, 5% and
83% of the pixels). The folder `colormaps` beside them is not read.
"""

from __future__ import annotations

from pathlib import Path

from rtseg.labels import BDD_DRIVABLE
from training.data.origin import Origin, check_split, find_root, stems_of
from training.data.pairs import PairedFiles, pairs_in

SPLITS = ("train", "val", "published-train", "published-val", "published-test")
PUBLISHED_PICTURES = 3430
PUBLISHED_SHARES = {"published-train": (0.0, 0.7), "published-val": (0.7, 0.9)} | {
    "published-test": (0.9, 1.0)
}


def open_bdd_drivable(data: Path, split: str) -> PairedFiles:
    """Open the frames of one split.

    Args:
        data: the data folder, or the one that holds `images` and `labels`.
        split: `train` and `val` are the official ones. The publication used 3,430 pictures that it
            does not name, in a random split of 2401/686/343 with seed 1: `published-train`, `-val`
            and `-test` split the first 3,430 of the sorted training names (or as many as there
            are) by the same rule.
    """
    check_split(split, SPLITS, what="BDD100K drivable")
    folder = "val" if split == "val" else "train"
    images, masks = f"images/100k/{folder}", f"labels/drivable/masks/{folder}"
    root = find_root(
        data,
        inside=("bdd100k", "BDD100K", "bdd100k/bdd100k"),
        needs=(images, masks),
        advice=ORIGIN.advice,
    )
    names = stems_of(root / images, ".jpg")
    if split in PUBLISHED_SHARES:
        names = _published(names, split)
    return pairs_in(
        root, f"{images}/{{}}.jpg", f"{masks}/{{}}.png", label_set=BDD_DRIVABLE, names=names
    )


def _published(names: tuple[str, ...], split: str) -> tuple[str, ...]:
    import torch

    names = names[:PUBLISHED_PICTURES]
    # as torch.utils.data.random_split does with this seed
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(1)).tolist()
    first, last = (round(len(names) * share) for share in PUBLISHED_SHARES[split])
    return tuple(names[index] for index in order[first:last])


ORIGIN = Origin(
    name="bdd-drivable",
    homepage="http://bdd-data.berkeley.edu",
    terms="BDD100K's own licence: research and teaching free, registration needed",
    layout="bdd100k/{images/100k,labels/drivable/masks}/{train,val}/*.{jpg,png}",
    splits=SPLITS,
    open=open_bdd_drivable,
)

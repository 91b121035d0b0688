"""Crowd Instance-level Human Parsing (Gong et al., ECCV 2018): people in 20 classes.

Layout: `CIHP/{Training,Validation}/{Images/NAME.jpg,Category_ids/NAME.png}`, or the archive's
`instance-level_human_parsing`. `Category_ids` holds the ids; the folder `Categories` beside it
holds colours and is not read. Left and right are the subject's.
"""

from __future__ import annotations

from pathlib import Path

from rtseg.errors import SourceError
from rtseg.labels import CIHP
from training.data.origin import Origin, check_split, find_root, stems_of
from training.data.pairs import PairedFiles, pairs_in

SPLITS = ("train", "val", "published-train", "published-val")
PUBLISHED_TRAIN = 1000
PUBLISHED_VAL = 50
"""Pictures of the published run: the first sorted training names, and those after them."""


def open_cihp(data: Path, split: str) -> PairedFiles:
    """Open the people of one split.

    Args:
        data: the data folder, or the one that holds `Training` and `Validation`.
        split: `train` and `val` are the official ones; `published-train` and `published-val` are
            the first 1,000 of the sorted training names and the 50 after them.

    Raises:
        SourceError: the folders do not exist, or have too few pictures for the split.
    """
    check_split(split, SPLITS, what="CIHP")
    folder = "Validation" if split == "val" else "Training"
    root = find_root(
        data,
        inside=("CIHP", "instance-level_human_parsing", "CIHP/instance-level_human_parsing"),
        needs=(f"{folder}/Images", f"{folder}/Category_ids"),
        advice=ORIGIN.advice,
    )
    names = stems_of(root / folder / "Images", ".jpg")
    if split == "published-train":
        names = names[:PUBLISHED_TRAIN]
    elif split == "published-val":
        count, names = len(names), names[PUBLISHED_TRAIN : PUBLISHED_TRAIN + PUBLISHED_VAL]
        if not names:
            raise SourceError(
                f"{root / folder / 'Images'}: holds {count} pictures; the split published-val is "
                f"the {PUBLISHED_VAL} after the first {PUBLISHED_TRAIN}"
            )
    image, labels = f"{folder}/Images/{{}}.jpg", f"{folder}/Category_ids/{{}}.png"
    return pairs_in(root, image, labels, label_set=CIHP, names=names)


ORIGIN = Origin(
    name="cihp",
    homepage="https://github.com/Engineering-Course/CIHP_PGN",
    terms="non-commercial research only",
    layout="CIHP/{Training,Validation}/{Images/*.jpg,Category_ids/*.png}",
    splits=SPLITS,
    open=open_cihp,
)

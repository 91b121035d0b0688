"""LaPa (Liu et al., AAAI 2020): faces in the wild, Helen's 11 classes.

Layout: `LaPa/{train,val,test}/{images/NAME.jpg,labels/NAME.png}` (the `landmarks` beside them are
not read). Over half of its training pictures are warped pictures of HELEN, LFPW, AFW and IBUG, so
never train on LaPa and measure on Helen.
"""

from __future__ import annotations

from pathlib import Path

from rtseg.labels import LAPA
from training.data.origin import Origin, check_split, find_root
from training.data.pairs import PairedFiles, pairs_in

SPLITS = ("train", "val", "test")


def open_lapa(data: Path, split: str) -> PairedFiles:
    """Open the faces of an official split; `data` is the data folder or `LaPa` itself."""
    check_split(split, SPLITS, what="LaPa")
    root = find_root(
        data,
        inside=("LaPa", "lapa"),
        needs=(f"{split}/images", f"{split}/labels"),
        advice=ORIGIN.advice,
    )
    return pairs_in(root / split, "images/{}.jpg", "labels/{}.png", label_set=LAPA)


ORIGIN = Origin(
    name="lapa",
    homepage="https://github.com/jd-opensource/lapa-dataset",
    terms="research only; photographs under their owners' rights",
    layout="LaPa/{train,val,test}/{images/*.jpg,labels/*.png}",
    splits=SPLITS,
    open=open_lapa,
    overlaps=("helen",),
)

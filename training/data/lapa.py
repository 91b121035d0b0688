"""LaPa (Liu et al., AAAI 2020): faces in the wild, Helen's 11 classes.

Layout: `LaPa/{train,val,test}/{images/NAME.jpg,labels/NAME.png}` (the `landmarks` beside them are
not read). Over half of its training pictures are warped pictures of HELEN, LFPW, AFW and IBUG, so
never train on LaPa and measure on Helen.
"""

from __future__ import annotations

from pathlib import Path

from rtseg.labels import LAPA
from training.data.origin import Origin, check_split, find_root, stems_of
from training.data.pairs import Pair, PairedFiles

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
    folder = root / split
    return PairedFiles(
        pairs=tuple(
            Pair(
                name=name,
                image=folder / "images" / f"{name}.jpg",
                labels=folder / "labels" / f"{name}.png",
            )
            for name in stems_of(folder / "images", ".jpg")
        ),
        label_set=LAPA,
    )


ORIGIN = Origin(
    name="lapa",
    homepage="https://github.com/jd-opensource/lapa-dataset",
    terms="research only; photographs under their owners' rights",
    layout="LaPa/{train,val,test}/{images/*.jpg,labels/*.png}",
    splits=SPLITS,
    open=open_lapa,
    overlaps=("helen",),
)

"""Helen* (Smith et al., CVPR 2013; relabelled by Lin et al., CVPR 2019), in its three layouts.

- At 256x256, `helenstar-256/train/{images/NNNN.jpg,labels/NNNN.png}` or that folder itself: the
  1,999 training pairs, split by the committed lists (`Helen`).
- As published, `{train,test,test_resize}/NAME_{image.jpg,label.png,viz.jpg}` (`open_helen`).
- Split by kind, `{train,test}/{images/NAME.jpg,labels/NAME.png}` (`open_helen`).

Labels are 8-bit ids of `rtseg.labels.HELEN`; left and right are the viewer's. Ears, neck and the
faces of other people in the picture are background. The relabelling changed skin and hair of the
training pictures; the test pictures keep the original labels, so that figures for skin and hair on
the test split measure two conventions at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from rtseg.errors import SourceError
from rtseg.labels import HELEN, LabelSet
from training.data.base import (
    Dataset,
    Sample,
    read_image,
    read_labels,
    read_split,
    require_folder,
)
from training.data.origin import Origin, check_split, find_root
from training.data.pairs import pairs_in

TERMS = (
    "Helen* (https://github.com/JPlin/Relabeled-HELEN-Dataset): Flickr photographs without a "
    "stated licence; for research"
)

LABEL_OFFSET = 0.5
"""Pixels by which the labels at 256x256 are shifted to the right and down.

They were sampled at the pixels' corners: over 400 pictures, the gradient is largest .45 pixels left
of and above the labels' borders. Ignoring this when training on mirrored pictures costs .005 of
overall F1.
"""


@dataclass(frozen=True, kw_only=True)
class Helen:
    """The pairs of one split list (`train`, `val` or `report`), with the files' labels."""

    root: Path
    split: str
    label_set: ClassVar[LabelSet] = HELEN
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", read_split(f"helen-{self.split}"))
        object.__setattr__(self, "root", _small_root(self.root))

    def __len__(self) -> int:
        return len(self.names)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files of the picture and its labels."""
        name = self.names[index]
        return self.root / "images" / f"{name}.jpg", self.root / "labels" / f"{name}.png"

    def __getitem__(self, index: int) -> Sample:
        name = self.names[index]
        image = read_image(self.root / "images" / f"{name}.jpg")
        path = self.root / "labels" / f"{name}.png"
        labels = read_labels(path, HELEN)
        if labels.shape != image.shape[:2]:
            raise SourceError(
                f"{path}: the labels are {labels.shape[1]}x{labels.shape[0]}, "
                f"the image is {image.shape[1]}x{image.shape[0]}"
            )
        return Sample(name=name, image=image, labels=labels)


def _small_root(data: Path) -> Path:
    """Find the folder that contains `images` and `labels` in any known layout."""
    for candidate in (data / "helenstar-256" / "train", data / "train", data):
        if (candidate / "images").is_dir() and (candidate / "labels").is_dir():
            return candidate
    return require_folder(
        data / "helenstar-256" / "train" / "images", what="Helen* at 256x256 (NNNN.jpg)"
    )


PUBLISHED_FOLDERS = {
    "published-train": "train",
    "published-test": "test",
    "published-test-resize": "test_resize",
}
"""The folders of the two original-size layouts by split."""


def open_helen(data: Path, split: str) -> Dataset:
    """Open one split of Helen* in any layout.

    Args:
        data: the data folder, or Helen*'s own.
        split: `train`, `val` and `report` are the committed lists of the 256x256 layout;
            `published-train` (1,999), `published-test` (100) and `published-test-resize` (the
            same 100, smaller) are whole folders of the other two.
    """
    check_split(split, ORIGIN.splits, what="Helen*")
    if split not in PUBLISHED_FOLDERS:
        return Helen(root=data, split=split)
    folder = PUBLISHED_FOLDERS[split]
    inside = ("helenstar", "helenstar_release", "helen", "Helen")
    root = find_root(data, inside=inside, needs=(folder,), advice=ORIGIN.advice) / folder
    if (root / "images").is_dir():
        return pairs_in(root, "images/{}.jpg", "labels/{}.png", label_set=HELEN)
    return pairs_in(root, "{}_image.jpg", "{}_label.png", label_set=HELEN)


ORIGIN = Origin(
    name="helen",
    homepage="https://github.com/JPlin/Relabeled-HELEN-Dataset",
    terms="Flickr photographs without a stated licence; for research",
    layout=(
        "helenstar-256/train/{images/NNNN.jpg,labels/NNNN.png}, or "
        "{train,test}/NAME_{image.jpg,label.png}, or {train,test}/{images,labels}/NAME"
    ),
    splits=("train", "val", "report", *PUBLISHED_FOLDERS),
    open=open_helen,
    overlaps=("lapa",),
)

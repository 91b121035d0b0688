"""Helen* (Smith et al., CVPR 2013; relabelled by Lin et al., CVPR 2019) at 256x256.

Layout: `helenstar-256/train/{images/NNNN.jpg,labels/NNNN.png}`, or that folder itself. Labels are
8-bit ids of `rtseg.labels.HELEN`; left and right are the viewer's. Ears, neck and the faces of
other people in the picture are background.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from rtseg.errors import SourceError
from rtseg.labels import HELEN, LabelSet
from training.datasets.base import Sample, read_image, read_labels, read_split, require_folder

TERMS = (
    "Helen* (https://github.com/JPlin/Relabeled-HELEN-Dataset): Flickr photographs without a "
    "stated licence; for research"
)


@dataclass(frozen=True, kw_only=True)
class Helen:
    """The pairs of one split list (`train`, `val` or `report`)."""

    root: Path
    split: str
    label_set: ClassVar[LabelSet] = HELEN
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", read_split(f"helen-{self.split}"))
        object.__setattr__(self, "root", find_root(self.root))

    def __len__(self) -> int:
        return len(self.names)

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


def find_root(data: Path) -> Path:
    """The folder that holds `images` and `labels`, looked for in the layouts that occur."""
    for candidate in (data / "helenstar-256" / "train", data / "train", data):
        if (candidate / "images").is_dir() and (candidate / "labels").is_dir():
            return candidate
    return require_folder(
        data / "helenstar-256" / "train" / "images", what="Helen* at 256x256 (NNNN.jpg)"
    )

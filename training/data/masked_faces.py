"""MFSD: faces with (rendered) medical masks, labelled as visible face, mask and background.

Layout: `masked-faces/{images/NAME.jpg,labels/NAME.png}`, 8-bit ids of `MASKED_FACES`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from rtseg.labels import LabelSet
from training.data.base import Sample, read_image, read_labels, read_split, require_folder

TERMS = "MFSD, after MaskedFace-Net and FFHQ: CC BY-NC-SA as far as stated; for research"

MASKED_FACES = LabelSet(
    name="masked-faces",
    names=("background", "face", "mask"),
    colours=((0, 0, 0), (244, 180, 140), (120, 200, 230)),
    face=(1, 2),
)
"""The face consists of visible skin, eyes, brows, ears and glasses; hair is background."""


VISIBLE, MASK = 1, 2
"""The ids in `MASKED_FACES` of the visible face and of the mask."""


@dataclass(frozen=True, kw_only=True)
class MaskedFaces:
    """The pairs of one split list (`train`, `val` or `report`)."""

    root: Path
    split: str
    label_set: ClassVar[LabelSet] = MASKED_FACES
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        folder = self.root / "masked-faces"
        require_folder(folder / "images", what="masked faces (NAME.jpg)")
        object.__setattr__(self, "root", folder)
        object.__setattr__(self, "names", read_split(f"masked-faces-{self.split}"))

    def __len__(self) -> int:
        return len(self.names)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files of the picture and its labels."""
        name = self.names[index]
        return self.root / "images" / f"{name}.jpg", self.root / "labels" / f"{name}.png"

    def __getitem__(self, index: int) -> Sample:
        image, labels = self.files(index)
        return Sample(
            name=self.names[index],
            image=read_image(image),
            labels=read_labels(labels, MASKED_FACES),
        )

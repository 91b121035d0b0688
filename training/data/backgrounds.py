"""Face-free pictures, for backgrounds of composites and as negatives.

Layout: `backgrounds/NNN.jpg`. The split lists keep near-duplicates in the same split.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rtseg.frames import Image
from training.data.base import read_image, read_split, require_folder


@dataclass(frozen=True, kw_only=True)
class Backgrounds:
    """The pictures of one split list (`train` or `val`)."""

    root: Path
    split: str
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        folder = require_folder(self.root / "backgrounds", what="face-free pictures (NNN.jpg)")
        object.__setattr__(self, "root", folder)
        object.__setattr__(self, "names", read_split(f"backgrounds-{self.split}"))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Image:
        """RGB, uint8 (height, width, 3); sizes differ."""
        return read_image(self.root / f"{self.names[index]}.jpg")

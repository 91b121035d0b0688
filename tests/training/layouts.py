"""Four pictures of every data set in its exact layout, for testing recipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from rtseg.labels import BDD_DRIVABLE, CELEBAMASK, CIHP, FASSEG, HELEN, LabelSet
from tests.training.data.files import Array, write
from training.data.celebamask import PARTS

COUNT = 4


def tiles(
    label_set: LabelSet, seed: int, *, rows: int, columns: int, height: int, width: int
) -> Array:
    """A grid of label ids with as many classes as fit, in a seeded order."""
    rng = np.random.default_rng(seed)
    ids = np.arange(rows * columns) % len(label_set)
    grid = rng.permutation(ids).reshape(rows, columns).astype(np.uint8)
    resized: Array = cv2.resize(grid, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return resized


def picture_of(labels: Array, label_set: LabelSet, seed: int) -> Array:
    """The labels as colours, under uneven light and with noise."""
    rng = np.random.default_rng((7, seed))
    colours = np.array(label_set.colours, np.float32)[labels]
    light = np.linspace(0.75, 1.0, labels.shape[1], dtype=np.float32)[None, :, None]
    noise = rng.normal(0, 6, colours.shape)
    return (colours * light + 12 + noise).clip(0, 255).astype(np.uint8)


def celebamask(root: Path) -> None:
    folder = root / "CelebAMask-HQ"
    lines = ["idx orig_idx orig_file"]
    for number in range(COUNT + 1):
        labels = tiles(CELEBAMASK, number, rows=4, columns=5, height=128, width=160)
        write(folder / f"CelebA-HQ-img/{number}.jpg", picture_of(labels, CELEBAMASK, number))
        for label_id, part in enumerate(PARTS, start=1):
            if (labels == label_id).any():
                mask = np.where(labels == label_id, np.uint8(255), np.uint8(0))
                write(folder / f"CelebAMask-HQ-mask-anno/0/{number:05d}_{part}.png", mask)
        lines.append(f"{number} {number} {number:06d}.jpg")
    (folder / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(lines) + "\n")


def cihp(root: Path) -> None:
    for first, part in ((0, "Training"), (10, "Validation")):
        for number in range(COUNT + 2):  # the published run is measured on the last of the training
            labels = tiles(CIHP, first + number, rows=4, columns=5, height=128, width=160)
            folder = root / "CIHP" / part
            write(folder / f"Images/{number:07d}.jpg", picture_of(labels, CIHP, first + number))
            write(folder / f"Category_ids/{number:07d}.png", labels)


def bdd(root: Path) -> None:
    for first, part in ((0, "train"), (10, "val")):
        for number in range(6):
            labels = tiles(BDD_DRIVABLE, first + number, rows=1, columns=3, height=180, width=320)
            folder = root / "bdd100k"
            image = picture_of(labels, BDD_DRIVABLE, first + number)
            write(folder / f"images/100k/{part}/{number:04d}.jpg", image)
            write(folder / f"labels/drivable/masks/{part}/{number:04d}.png", labels)


def helen(root: Path) -> None:
    for number in range(COUNT):
        labels = tiles(HELEN, number, rows=3, columns=4, height=96, width=96)
        folder = root / "helenstar-256" / "train"
        write(folder / f"images/{number:04d}.jpg", picture_of(labels, HELEN, number))
        write(folder / f"labels/{number:04d}.png", labels)


def fasseg(root: Path) -> None:
    for number in range(COUNT):
        labels = tiles(FASSEG, number, rows=2, columns=3, height=96, width=96)
        folder = root / "fasseg" / "V2"
        write(folder / f"Train_RGB/{number}.bmp", picture_of(labels, FASSEG, number))
        painted = np.array(FASSEG.colours, np.uint8)[labels]
        write(folder / f"Train_Labels/{number}.bmp", painted)


LAYOUTS: Mapping[str, Callable[[Path], None]] = {
    "celebamask": celebamask,
    "cihp": cihp,
    "bdd": bdd,
    "helen": helen,
    "fasseg": fasseg,
}
"""By the first word of a recipe's name."""

LISTS = {
    "helen-train": ["0000", "0001", "0002", "0003"],
    "helen-val": ["0000", "0001"],
    "helen-report": ["0002", "0003"],
    "fasseg-v2-train": ["0", "1", "2", "3"],
    "fasseg-v2-val": ["0", "1"],
}
"""The split lists that belong to them."""

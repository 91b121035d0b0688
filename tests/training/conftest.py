"""Small data sets in the exact layouts, drawn by the tests: no network, no download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from rtseg.frames import Image, LabelMap
from rtseg.labels import FASSEG, HELEN
from tests.training.layouts import COUNT, LISTS
from training.data import base, cihp


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Limit PyTorch's threads: tiny networks on many threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw_face(size: int = 256, *, dx: int = 0) -> tuple[Image, LabelMap]:
    """A cartoon face with every part of Helen*, its left (viewer's) eye lower than the right."""
    labels = np.zeros((size, size), np.uint8)
    unit = size / 256

    def oval(x: float, y: float, rx: float, ry: float, label: int) -> None:
        centre = (round((x + dx) * unit), round(y * unit))
        axes = (max(1, round(rx * unit)), max(1, round(ry * unit)))
        cv2.ellipse(labels, centre, axes, 0, 0, 360, label, -1)

    oval(128, 110, 70, 90, 10)
    oval(128, 130, 52, 70, 1)
    oval(105, 100, 14, 4, 2)
    oval(151, 96, 14, 4, 3)
    oval(105, 116, 10, 6, 4)
    oval(151, 112, 10, 6, 5)
    oval(128, 135, 10, 20, 6)
    oval(128, 164, 20, 5, 7)
    oval(128, 170, 16, 4, 8)
    oval(128, 176, 20, 5, 9)
    image = np.array(HELEN.colours, np.uint8)[labels]
    image[labels == 0] = (30, 60, 90)
    return image, labels


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write a grey or RGB picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = pixels[:, :, ::-1] if pixels.ndim == 3 else pixels
    assert cv2.imwrite(str(path), shown)


@pytest.fixture
def layout_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder for `layouts`, with its split lists."""
    splits = tmp_path / "splits"
    splits.mkdir()
    for name, names in LISTS.items():
        (splits / f"{name}.txt").write_text("\n".join(names) + "\n")
    monkeypatch.setattr(base, "SPLITS", splits)
    monkeypatch.setattr(cihp, "PUBLISHED_TRAIN", COUNT)
    return tmp_path / "data"


@pytest.fixture
def toy_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with four Helen* pairs, three backgrounds and FASSEG pairs, and its lists."""
    root, splits = tmp_path / "data", tmp_path / "splits"
    splits.mkdir()
    monkeypatch.setattr(base, "SPLITS", splits)
    lists = {
        "helen-train": ["0001", "0002"],
        "helen-val": ["0003"],
        "helen-report": ["0004"],
        "backgrounds-train": ["000", "001"],
        "backgrounds-val": ["002"],
        "fasseg-v2-train": ["1"],
        "fasseg-v2-val": ["2"],
        "fasseg-v3-train": ["+30/a"],
        "fasseg-v3-val": ["0/b"],
        "celebamask-train": ["train/0", "extra/a"],
        "celebamask-val": ["train/1"],
        "celebamask-report": ["train/2"],
        "figaro-train": ["F1"],
        "figaro-val": ["F2"],
        "figaro-report": ["F3"],
        "masked-faces-train": ["m1"],
        "masked-faces-val": ["m2"],
        "masked-faces-report": ["m3"],
        "helen-glasses": ["0002"],
    }
    for name, names in lists.items():
        (splits / f"{name}.txt").write_text("\n".join(names) + "\n")
    helen = root / "helenstar-256" / "train"
    for number in range(1, 5):
        image, labels = draw_face(dx=4 * number)
        write_png(helen / "labels" / f"{number:04d}.png", labels)
        write_png(helen / "images" / f"{number:04d}.jpg", image)
    rng = np.random.default_rng(0)
    for number in range(3):
        coarse = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        picture = cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)
        write_png(root / "backgrounds" / f"{number:03d}.jpg", picture)
    image, labels = draw_face()
    coarse_ids = np.array([0, 1, 2, 2, 4, 4, 3, 5, 5, 5, 2], np.uint8)[labels]
    painted = np.array(FASSEG.colours, np.uint8)[coarse_ids]
    for name in ("1", "2"):
        write_png(root / "fasseg" / "V2" / "Train_RGB" / f"{name}.bmp", image)
        write_png(root / "fasseg" / "V2" / "Train_Labels" / f"{name}.bmp", painted)
    for name in ("+30/a", "0/b"):
        write_png(root / "fasseg" / "V3" / "Train_RGB" / f"{name}.jpg", image)
        write_png(root / "fasseg" / "V3" / "Train_labels" / f"{name}.png", painted)
    write_listed(root, lists)
    return root


def write_listed(root: Path, lists: dict[str, list[str]]) -> None:
    """The data sets made of images and labels, with all their ids."""
    image, labels = draw_face()
    celebamask = np.array([0, 1, 7, 6, 5, 4, 2, 11, 10, 12, 13], np.uint8)[labels]
    for index in (3, 8, 9, 14, 15, 16, 17, 18):
        celebamask[228:, 12 * index : 12 * index + 12] = index
    hair = np.where(labels == 10, 1, 0)
    masked = np.where(labels >= 6, 2, np.where(labels > 0, 1, 0))
    masked[labels == 10] = 0
    for prefix, folder, ids in (
        ("celebamask", "celebamask-hq", celebamask),
        ("figaro", "figaro1k", hair),
        ("masked-faces", "masked-faces", masked),
    ):
        for name in (n for key in lists if key.startswith(prefix) for n in lists[key]):
            part, _, stem = name.rpartition("/")
            write_png(root / folder / part / "images" / f"{stem}.jpg", image)
            write_png(root / folder / part / "labels" / f"{stem}.png", ids.astype(np.uint8))

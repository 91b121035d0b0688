"""Labels coincide with the picture's edges."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from tests.support.label_alignment import displacement
from tests.training.conftest import draw_face
from training.data.base import Dataset, Sample
from training.data.face_targets import FaceTargets, from_helen
from training.data.fasseg import Fasseg
from training.data.helen import Helen
from training.data.listed import open_celebamask, open_figaro
from training.data.masked_faces import MaskedFaces

OPENED = {
    "helen": lambda data: FaceTargets(
        dataset=Helen(root=data, split="val"),
        convert=lambda sample: from_helen(sample, glasses=False),
    ),
    "celebamask": lambda data: open_celebamask(data, "val"),
    "figaro": lambda data: open_figaro(data, "val"),
    "masked-faces": lambda data: MaskedFaces(root=data, split="val"),
    "fasseg-v2": lambda data: Fasseg(root=data, version="v2", split="val"),
    "fasseg-v3": lambda data: Fasseg(root=data, version="v3", split="val"),
}


@pytest.mark.parametrize("move", [(0, 0), (1, 0), (-2, 1)])
def test_a_known_displacement_is_measured(move: tuple[int, int]) -> None:
    image, labels = draw_face()
    x, y = move
    moved = np.roll(labels, (y, x), axis=(0, 1))
    sample = Sample(name="a", image=image, labels=moved)
    assert displacement([sample]) == pytest.approx(move, abs=0.1)


def test_a_samples_stated_offset_is_subtracted() -> None:
    image, labels = draw_face()
    moved = Sample(name="a", image=image, labels=np.roll(labels, (1, 1), axis=(0, 1)))
    assert displacement([dataclasses.replace(moved, label_offset=1.0)]) == pytest.approx(
        (0, 0), abs=0.1
    )


@pytest.mark.skipif("RTSEG_DATA" not in os.environ, reason="needs the data folder in RTSEG_DATA")
@pytest.mark.parametrize("name", OPENED)
def test_every_data_sets_labels_coincide_with_edges(name: str) -> None:
    dataset: Dataset = OPENED[name](Path(os.environ["RTSEG_DATA"]))
    samples = [dataset[index] for index in range(min(len(dataset), 100))]
    side = np.mean([max(sample.labels.shape) for sample in samples])
    # a quarter of a pixel at networks' input size
    assert np.abs(displacement(samples)).max() < 0.3 * max(1.0, side / 256)

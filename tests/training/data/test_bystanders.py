"""Heads that a data set leaves unlabelled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.frames import Image
from rtseg.labels import HELEN
from tests.training.conftest import draw_face
from training.data.base import Sample
from training.data.bystanders import LIST, boxes_of, bystanders, listed_bystanders, read_boxes


class ByColour:
    """Recognises the palette's colours, as a perfect network recognises faces."""

    batch = 2

    def probabilities(self, images: Sequence[Image]) -> list[np.ndarray]:
        palette = np.array(HELEN.colours, np.int32)
        maps = []
        for image in images:
            near = np.abs(image[:, :, None].astype(np.int32) - palette).sum(3) < 20
            maps.append(near.astype(np.float32).transpose(2, 0, 1))
        return maps


def test_only_other_heads_with_parts_are_marked():
    image, labels = draw_face()
    small = np.ascontiguousarray(image[::4, ::4])
    face = small[2:52, 12:52]
    image[5:55, 3:43] = face  # another, unlabelled person
    image[200:250, 200:250] = HELEN.colours[1]  # a hand: skin without parts
    (mask,) = bystanders(
        ByColour(),  # type: ignore[arg-type]
        [Sample(name="a", image=image, labels=labels)],
        HELEN,
    )
    assert mask[25, 23]
    assert not mask[225, 225]
    assert not mask[labels > 0].any()
    assert mask.sum() < 60 * 60


def test_listed_boxes_become_masks_without_the_labelled_head(tmp_path):
    image, labels = draw_face()
    path = tmp_path / "list.txt"
    path.write_text("a 0 0 30 40\na 100 100 60 60\n")
    samples = [Sample(name=name, image=image, labels=labels) for name in ("a", "b")]
    first, second = listed_bystanders(samples, HELEN, read_boxes(path))
    assert first[20, 20]
    assert not first[labels > 0].any()
    assert first.sum() == 30 * 40 + (labels[100:160, 100:160] == 0).sum()
    assert not second.any()


def test_a_malformed_list_is_refused(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a 0 0 30 40\nb 1 2\n")
    with pytest.raises(SettingError, match=r"list.txt:2: expected NAME X Y WIDTH HEIGHT"):
        read_boxes(path)


def test_the_boxes_of_a_mask_are_found():
    mask = np.zeros((20, 30), bool)
    mask[2:5, 3:9] = True
    mask[10:20, 20:30] = True
    assert boxes_of(mask) == [(3, 2, 6, 3), (20, 10, 10, 10)]


def test_every_listed_name_is_one_of_helens():
    names: set[str] = set()
    for split in ("train", "val", "report"):
        names |= set((LIST.parent / f"helen-{split}.txt").read_text().split())
    assert set(read_boxes()) <= names

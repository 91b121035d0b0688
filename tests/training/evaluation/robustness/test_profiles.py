"""Helen*'s classes converted to FASSEG's, by yaw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rtseg.frames import Image, LabelMap
from rtseg.labels import FASSEG, HELEN, IGNORED
from training.data.base import Sample
from training.evaluation.robustness.profiles import measure_profiles, to_fasseg


class Photos:
    """Two photos at each of two yaws; the first channel contains the label."""

    label_set = FASSEG
    names = ("+90/a", "+90/b", "-60/a", "0/c")

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        labels = np.zeros((256, 192), np.uint8)
        for i in range(6):
            labels[40 * i : 40 * (i + 1)] = i
        image = np.zeros((256, 192, 3), np.uint8)
        image[:, :, 0] = labels
        image[:, :, 1] = 200 if self.names[index].startswith("+90") else 0
        return Sample(name=self.names[index], image=image, labels=labels)


HELEN_IDS = np.array([0, 1, 10, 6, 4, 8], np.uint8)
"""One of Helen*'s classes for each of FASSEG's."""


def test_brows_are_hair_and_both_lips_are_mouth() -> None:
    converted = {n: FASSEG.names[i] for n, i in zip(HELEN.names, to_fasseg(HELEN), strict=True)}
    assert converted["left-brow"] == converted["right-brow"] == converted["hair"] == "hair"
    assert {converted[n] for n in ("upper-lip", "inner-mouth", "lower-lip")} == {"mouth"}
    assert converted["left-eye"] == converted["right-eye"] == "eyes"
    assert (converted["skin"], converted["nose"], converted["background"]) == (
        "skin",
        "nose",
        "background",
    )


def test_scores_are_ordered_by_yaw_and_ignore_padding() -> None:
    def mistaken_at_90(images: Sequence[Image]) -> list[LabelMap]:
        label_maps = []
        for image in images:
            assert image.shape == (256, 256, 3)
            labels = HELEN_IDS[np.minimum(image[:, :, 0], 5)]  # bands are 114: mouth
            if (image[:, :, 1] == 200).any():
                labels[labels == 6] = 1  # noses become skin
            label_maps.append(labels)
        return label_maps

    scores = {s.yaw: s for s in measure_profiles(mistaken_at_90, HELEN, Photos())}
    assert list(scores) == ["-60", "0", "+90", "all"]
    assert [s.photos for s in scores.values()] == [1, 1, 2, 4]
    assert scores["-60"].mean == scores["0"].mean == 1
    assert scores["+90"].f1["nose"] == 0
    assert scores["+90"].f1["skin"] == pytest.approx(2 * 40 / (40 + 80))
    assert scores["+90"].mean == pytest.approx((0 + 2 / 3 + 3) / 5)
    # half of all noses are missed
    assert scores["all"].f1["nose"] == pytest.approx(2 / 3)
    assert scores["all"].f1["mouth"] == 1
    assert IGNORED == 255

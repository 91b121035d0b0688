"""What stretching brings in poor light, for a network that tells the person by brightness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtseg.frames import Image, LabelMap
from rtseg.labels import FACE_PARTS
from training.data.base import Sample
from training.evaluation.robustness.poor_light import POOR_LIGHT, measure_poor_light

SKIN = FACE_PARTS.names.index("skin")
CLASSES = len(FACE_PARTS) - 1


class Squares:
    """A bright face on a dark ground."""

    label_set = FACE_PARTS
    names = ("a", "b")

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        labels = np.zeros((256, 256), np.uint8)
        labels[80:170, 90:180] = SKIN
        rng = np.random.default_rng(index)
        image = np.where(labels[..., None] == SKIN, 225, 15) + rng.integers(-9, 9, (256, 256, 3))
        return Sample(name=self.names[index], image=image.astype(np.uint8), labels=labels)


def bright_is_skin(images: Sequence[Image], *, offset: float = 0.0) -> list[LabelMap]:
    return [np.where(image.mean(2) > 110, SKIN, 0).astype(np.uint8) for image in images]


def test_the_dark_is_made_bright_again() -> None:
    good, *poor = measure_poor_light(bright_is_skin, Squares())
    assert good.as_it_is == good.stretched == 1 / CLASSES
    assert len(poor) == len(POOR_LIGHT)
    by_name = {score.light: score for score in poor}
    for name in ("dark", "nearly black", "haze", "faded to black"):
        assert by_name[name].stretched > 0.99 / CLASSES, name
        assert by_name[name].as_it_is < 0.7 / CLASSES, name
    # only the person is dark, so that this network cannot know
    assert by_name["against the light"].as_it_is < 0.1 / CLASSES

"""Find faces that a data set leaves unlabelled, so that composites do not treat them as background.

`splits/helen-bystanders.txt` lists their boxes, so that training needs nothing but the data. It was
written by

    python -m training.data.bystanders CHECKPOINT --data DIR > training/splits/helen-bystanders.txt
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.errors import SettingError
from rtseg.geometry.fit import PADDING
from rtseg.labels import HELEN, LabelSet
from training.data.base import Sample, samples_of
from training.data.helen import Helen

if TYPE_CHECKING:
    from training.evaluation.predictor import Predictor

Mask = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""x, y, width and height in pixels."""

LIST = Path(__file__).parents[1] / "splits" / "helen-bystanders.txt"


def bystanders(predictor: Predictor, samples: Sequence[Sample], label_set: LabelSet) -> list[Mask]:
    """Detect heads other than the labelled one in each picture with a network.

    The labelled head is covered with grey first. A region counts only if the network predicts skin
    *and* parts of a face in it; other predicted skin (hands, walls) remains background, and is
    learned as such.

    Returns:
        One mask of the others' heads per sample, bool (height, width), slightly widened.
    """
    parts = [label_id for ids in label_set.face_parts for label_id in ids]
    head_ids = list(label_set.head)
    masks: list[Mask] = []
    for start in range(0, len(samples), predictor.batch):
        chunk = samples[start : start + predictor.batch]
        head_masks = [_widened(np.isin(sample.labels, head_ids), 9) for sample in chunk]
        covered = [
            np.where(mask[:, :, None], np.uint8(PADDING), sample.image)
            for mask, sample in zip(head_masks, chunk, strict=True)
        ]
        for mask, predicted in zip(head_masks, predictor.probabilities(covered), strict=True):
            head = (predicted[head_ids].sum(0) > 0.4) & ~mask
            has_part = predicted[parts].sum(0) > 0.4
            count, marks = cv2.connectedComponents(head.astype(np.uint8))
            others = np.zeros(head.shape, bool)
            for i in range(1, count):
                piece = marks == i
                if piece.sum() >= 60 and (piece & has_part).sum() >= 6:
                    others |= piece
            masks.append(_widened(others, 9) & ~mask)
    return masks


def boxes_of(mask: Mask) -> list[Box]:
    """The boxes of a mask's connected components."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return [(int(x), int(y), int(w), int(h)) for x, y, w, h, _ in stats[1:]]


def read_boxes(path: Path = LIST) -> dict[str, list[Box]]:
    """Read boxes by picture name from lines of `NAME X Y WIDTH HEIGHT`.

    Raises:
        SettingError: a line is malformed.
    """
    boxes: dict[str, list[Box]] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        name, *numbers = line.split()
        if len(numbers) != 4 or not all(text.isdigit() for text in numbers):
            raise SettingError(f"{path}:{number}: expected NAME X Y WIDTH HEIGHT; found {line!r}")
        x, y, width, height = map(int, numbers)
        boxes.setdefault(name, []).append((x, y, width, height))
    return boxes


def listed_bystanders(
    samples: Sequence[Sample], label_set: LabelSet, boxes: dict[str, list[Box]]
) -> list[Mask]:
    """Convert listed boxes to masks, one per sample, excluding the sample's labelled head."""
    head_ids = list(label_set.head)
    masks = []
    for sample in samples:
        mask = np.zeros(sample.labels.shape, bool)
        for x, y, width, height in boxes.get(sample.name, ()):
            mask[y : y + height, x : x + width] = True
        masks.append(mask & ~np.isin(sample.labels, head_ids))
    return masks


def _widened(mask: Mask, reach: int) -> Mask:
    kernel = np.ones((reach, reach), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel), bool)


def main() -> None:
    """Print the boxes that a checkpoint finds on Helen*'s pictures, all splits."""
    parser = argparse.ArgumentParser(prog="python -m training.data.bystanders")
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    # only this command needs PyTorch; the list is read without it
    from rtseg.checkpoint import read_checkpoint
    from training.evaluation.predictor import Predictor

    samples = [
        sample
        for split in ("train", "val", "report")
        for sample in samples_of(Helen(root=arguments.data, split=split))
    ]
    predictor = Predictor.of_checkpoint(read_checkpoint(arguments.checkpoint))
    for sample, mask in zip(samples, bystanders(predictor, samples, HELEN), strict=True):
        for box in boxes_of(mask):
            sys.stdout.write(f"{sample.name} {' '.join(map(str, box))}\n")


if __name__ == "__main__":
    main()

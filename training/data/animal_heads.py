"""Heads of animals, and a few round things, which a finder must not take for people's faces.

`splits/backgrounds-heads.txt` has their boxes in face-free pictures of the train list, drawn by
eye. A finder soon knows these pictures by heart, and then proposes none of their heads as a
lookalike, but is still wrong about others of their kind; so the heads are shown at all sizes and
rotations, whatever it thinks of them.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from training.augment.busts import Bust, bust_of
from training.data.backgrounds import Backgrounds
from training.data.percent_boxes import read_percent_boxes


def animal_heads(data: Path) -> list[Bust]:
    """The listed heads, each as a bust, for views that show what is no face."""
    boxes = read_percent_boxes("backgrounds-heads")
    pictures = Backgrounds(root=data, split="train")
    heads: list[Bust | None] = []
    for index, name in enumerate(pictures.names):
        if name not in boxes:
            continue
        picture = pictures[index]
        height, width = picture.shape[:2]
        for box in boxes[name]:
            head = np.zeros((height, width), np.uint8)
            outline = box.ellipse(width=width, height=height)
            cv2.fillConvexPoly(head, np.rint(outline).astype(np.int32), 1)
            heads.append(bust_of(picture, face=head > 0, person=None))
    return [head for head in heads if head is not None]

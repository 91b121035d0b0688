"""Figaro-1k for the finder: faces that look aside, and heads from behind, which show none.

Figaro-1k labels hair alone. Its pictures have what portraits lack: profiles in any light, faces
half hidden by hair, heads bowed. `splits/figaro-profiles.txt` has the faces of its train names in
which an earlier finder was unsure: a name, then the left, top, right and bottom edge (forehead to
chin; ear, or where it would be, to the tip of the nose or the other ear) in percent of the picture,
then the face's roll in degrees where it has one. `splits/figaro-backs.txt` has the names with heads
from behind. Both were made by eye, from the pictures that the finder scored below .8.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from rtseg.errors import SourceError
from rtseg.frames import Image
from training.augment.busts import Bust, bust_of
from training.data.base import SPLITS, read_split
from training.data.listed import open_figaro

PROFILES = SPLITS / "figaro-profiles.txt"


def read_profiles(path: Path = PROFILES) -> dict[str, tuple[float, ...]]:
    """Left, top, right and bottom in percent and the roll in degrees of each name's face.

    Raises:
        SourceError: the list cannot be read, or a line is not a name and four or five numbers.
    """
    profiles: dict[str, tuple[float, ...]] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        name, *words = line.split()
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) not in (4, 5) or values[0] >= values[2] or values[1] >= values[3]:
            raise SourceError(
                f"{path}: line {number} is not a name, a box in percent and a roll: {line!r}"
            )
        profiles[name] = (*values[:4], values[4] if len(values) == 5 else 0.0)
    return profiles


def profile_bust(image: Image, place: tuple[float, ...]) -> Bust | None:
    """A bust whose face is the ellipse in a box of `read_profiles`."""
    height, width = image.shape[:2]
    left, top, right, bottom, roll = place
    x, y = (left + right) / 200 * width, (top + bottom) / 200 * height
    # beyond the picture's edges too, so that a face that is cut keeps its size
    angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    reach_x, reach_y = (right - left) / 200 * width, (bottom - top) / 200 * height
    outline = np.column_stack([x + np.cos(angles) * reach_x, y + np.sin(angles) * reach_y])
    face = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(face, np.rint(outline).astype(np.int32), 1)
    bust = bust_of(image, face=face > 0, person=None, shows_others=False, is_turned=True)
    if bust is None:
        return None
    return replace(bust, outline=outline, roll_degrees=roll, face_height=2 * reach_y)


def figaro_busts(data: Path) -> list[Bust]:
    """The faces of `read_profiles`, of train names alone."""
    profiles = read_profiles()
    pictures = open_figaro(data, "train")
    found = (
        profile_bust(sample.image, profiles[sample.name])
        for sample in (pictures[index] for index in range(len(pictures)))
        if sample.name in profiles
    )
    return [bust for bust in found if bust is not None]


def figaro_backs(data: Path) -> list[Image]:
    """Pictures with heads from behind and no face, of train names alone."""
    names = set(read_split("figaro-backs"))
    pictures = open_figaro(data, "train")
    samples = (pictures[index] for index in range(len(pictures)))
    return [sample.image for sample in samples if sample.name in names]

"""Figaro-1k for the finder: faces in any place, and heads from behind, which show none.

Figaro-1k labels hair alone. Its pictures have what portraits lack: profiles in any light, faces
half hidden by hair, heads bowed. `splits/figaro-profiles.txt` has the faces of its train names in
which an earlier finder was unsure, most of which look aside or down: a name, then the left, top,
right and bottom edge (forehead to chin; ear, or where it would be, to the tip of the nose or the
other ear) in percent of the picture, then the face's roll in degrees where it has one. Those boxes
were drawn by eye. `splits/figaro-faces.txt` has the other faces in the same form; an earlier finder
proposed their boxes, which were looked at, and corrected or left out. `splits/figaro-backs.txt` has
the names with heads from behind, found by eye. Pictures of several faces are in none of them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from rtseg.frames import Image
from training.augment.busts import Bust, bust_of
from training.data.base import read_split
from training.data.listed import open_figaro
from training.data.percent_boxes import PercentBox, read_percent_boxes


def box_bust(image: Image, place: PercentBox, *, is_turned: bool) -> Bust | None:
    """A bust whose face is the ellipse in a box; None if too little of it is in the picture."""
    height, width = image.shape[:2]
    outline = place.ellipse(width=width, height=height)
    face = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(face, np.rint(outline).astype(np.int32), 1)
    bust = bust_of(image, face=face > 0, person=None, shows_others=False, is_turned=is_turned)
    if bust is None:
        return None
    # beyond the picture's edges too, so that a face that is cut keeps its size
    tall = (place.bottom - place.top) / 100 * height
    return replace(bust, outline=outline, roll_degrees=place.roll_degrees, face_height=tall)


def figaro_profiles(data: Path) -> list[Bust]:
    """Faces that look aside or down, of train names alone."""
    return _listed_busts(data, "figaro-profiles", is_turned=True)


def figaro_faces(data: Path) -> list[Bust]:
    """Other faces, of train names alone."""
    return _listed_busts(data, "figaro-faces", is_turned=False)


def _listed_busts(data: Path, name: str, *, is_turned: bool) -> list[Bust]:
    boxes = read_percent_boxes(name)
    pictures = open_figaro(data, "train")
    samples = (pictures[index] for index in range(len(pictures)))
    found = (
        box_bust(sample.image, place, is_turned=is_turned)
        for sample in samples
        for place in boxes.get(sample.name, ())
    )
    return [bust for bust in found if bust is not None]


def figaro_backs(data: Path) -> list[Image]:
    """Pictures with heads from behind and no face, of train names alone."""
    names = set(read_split("figaro-backs"))
    pictures = open_figaro(data, "train")
    samples = (pictures[index] for index in range(len(pictures)))
    return [sample.image for sample in samples if sample.name in names]

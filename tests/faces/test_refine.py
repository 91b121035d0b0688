"""When a crop fits the face in it, and what happens if it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtseg.faces.parsed_faces import ParsedFace
from rtseg.faces.refine import Refiner, fits, whole_head
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around, crop_around, crop_side, cut
from rtseg.labels import HELEN
from tests.faces.stage import tilted
from tests.support.painted import PaintedBackend, blurred, scene

HEAD = box_around(200, 160, 80, 100)
CROP = crop_around(200, 160, crop_side(HEAD), 1.0)


def parsed(head: Box = HEAD, **changes: object) -> ParsedFace:
    face = ParsedFace(
        head=head,
        bounds=head,
        face=head,
        sure=1.0,
        parts=1.0,
        certain=1.0,
        roll_degrees=0.0,
        cells=np.zeros((8, 8), bool),
        is_cut=False,
    )
    return replace(face, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("face", "fitting"),
    [
        (parsed(), True),
        (parsed(is_cut=True), False),
        (parsed(box_around(215, 160, 80, 100)), True),
        (parsed(box_around(222, 160, 80, 100)), False),
        (parsed(box_around(200, 138, 80, 100)), False),
        (parsed(box_around(200, 160, 80, 120)), True),
        (parsed(box_around(200, 160, 80, 130)), False),
        (parsed(box_around(200, 160, 60, 75)), False),
        (parsed(roll_degrees=14.0), True),
        (parsed(roll_degrees=-20.0), False),
        (parsed(roll_degrees=None), True),
    ],
)
def test_a_crop_fits_a_face_in_its_middle_at_its_size_and_roll(
    face: ParsedFace, fitting: bool
) -> None:
    assert fits(CROP, face, aspect=1.0) is fitting


def test_a_head_at_the_edge_of_its_crop_extends_beyond_that_edge_only() -> None:
    cells = np.zeros((8, 8), bool)
    cells[5:, 2:6] = True
    head = whole_head(parsed(is_cut=True, cells=cells), CROP)
    assert (head.left, head.top, head.right) == (HEAD.left, HEAD.top, HEAD.right)
    assert head.bottom == HEAD.bottom + 0.5 * HEAD.height
    cells[:3, 6:] = cells[2:4, :3] = True
    head = whole_head(parsed(is_cut=True, cells=cells), CROP)
    assert head.width == 2 * HEAD.width
    assert head.height == 2 * HEAD.height
    assert whole_head(parsed(cells=cells), CROP) is HEAD
    turned = replace(CROP, roll_degrees=30.0)
    assert whole_head(parsed(is_cut=True, cells=cells), turned) is HEAD


class Network:
    """Reads a painted picture; records the requested crops."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.crops: list[Crop] = []
        self.backend = PaintedBackend(input_height=128, input_width=128, stride=4)

    def __call__(self, crops: list[Crop]) -> list[np.ndarray]:
        self.crops += crops
        pictures = np.zeros((len(crops), 128, 128, 3), np.uint8)
        for picture, crop in zip(pictures, crops, strict=True):
            cut(self.image, crop, out=picture)
        return list(self.backend.infer(pictures))


def test_a_coarse_detection_of_half_a_head_becomes_the_whole_head() -> None:
    image, _ = scene(360, 640, (300, 180, 120))
    half = Box(left=254, top=120, right=346, bottom=180)
    network = Network(image)
    (refined,) = Refiner(HELEN, aspect=1.0).at([parsed(half)], network)
    assert refined.parsed is not None
    assert refined.parsed.head.centre == pytest.approx((300, 180), abs=3)
    assert refined.parsed.head.height == pytest.approx(120, abs=4)
    assert 2 <= len(network.crops) <= 4
    assert fits(refined.crop, refined.parsed, aspect=1.0)


def test_a_crop_that_fits_at_once_is_the_only_one() -> None:
    image, _ = scene(360, 640, (300, 180, 120))
    network = Network(image)
    (refined,) = Refiner(HELEN, aspect=1.0).at([parsed(box_around(302, 179, 92, 118))], network)
    assert len(network.crops) == 1
    assert refined.score > 0.9


def test_the_score_is_zero_without_a_face() -> None:
    network = Network(np.zeros((360, 640, 3), np.uint8))
    (refined,) = Refiner(HELEN, aspect=1.0).at([parsed()], network)
    assert refined.parsed is None
    assert refined.score == 0


@pytest.mark.parametrize("quarter_turns", [1, -1])
def test_a_head_on_its_side_is_read_in_an_upright_crop(quarter_turns: int) -> None:
    image, _ = scene(640, 360, (180, 300, 120))
    image = np.ascontiguousarray(np.rot90(image, quarter_turns))
    x, y = (300, 180) if quarter_turns == 1 else (340, 180)
    network = Network(image)
    (refined,) = Refiner(HELEN, aspect=1.0).sideways([parsed(box_around(x, y, 120, 100))], network)
    assert len(network.crops) == 2
    assert refined.crop.roll_degrees == -75.0 * quarter_turns
    assert refined.score > 0.8


@pytest.mark.parametrize("doubtful", ["upright", "rotated"])
def test_of_an_upright_and_a_rotated_crop_the_one_that_shows_the_face_better_counts(
    doubtful: str,
) -> None:
    network = Network(tilted(300, 180, 120, 45)[0])

    def infer(crops: list[Crop]) -> list[np.ndarray]:
        return [
            blurred(one) if crop.is_upright is (doubtful == "upright") else one
            for crop, one in zip(crops, network(crops), strict=True)
        ]

    (refined,) = Refiner(HELEN, aspect=1.0).at([parsed(box_around(300, 180, 110, 110))], infer)
    assert {crop.is_upright for crop in network.crops} == {True, False}
    assert refined.crop.is_upright is (doubtful == "rotated")
    assert refined.score > 0.8


@pytest.mark.parametrize(("estimated", "first"), [(20.0, 0.0), (-20.0, 0.0), (45.0, 45.0)])
def test_a_small_roll_estimated_from_afar_does_not_rotate_the_first_crop(
    estimated: float, first: float
) -> None:
    network = Network(tilted(300, 180, 120, estimated)[0])
    Refiner(HELEN, aspect=1.0).at(
        [parsed(box_around(300, 180, 92, 118), roll_degrees=estimated)], network
    )
    assert network.crops[0].roll_degrees == first


def test_a_head_that_its_crop_cuts_at_the_left_extends_to_the_left_only() -> None:
    cells = np.zeros((8, 8), bool)
    cells[2:6, :3] = True
    head = whole_head(parsed(is_cut=True, cells=cells), CROP)
    assert head.left == HEAD.left - 0.5 * HEAD.width
    assert (head.top, head.right, head.bottom) == (HEAD.top, HEAD.right, HEAD.bottom)


@pytest.mark.parametrize(
    ("roll", "fitting"), [(42.0, True), (50.0, True), (60.0, False), (-40.0, False), (0.0, False)]
)
def test_a_rotated_crop_fits_a_face_that_is_rotated_alike(roll: float, fitting: bool) -> None:
    crop = replace(CROP, roll_degrees=40.0)
    assert fits(crop, parsed(roll_degrees=roll), aspect=1.0) is fitting


def test_a_crop_that_is_rotated_like_the_face_counts_even_if_it_is_slightly_less_sure() -> None:
    network = Network(tilted(300, 180, 120, 45)[0])

    def infer(crops: list[Crop]) -> list[np.ndarray]:
        return [
            one if crop.is_upright else (0.98 * one + 0.02 / one.shape[-1]).astype(np.float32)
            for crop, one in zip(crops, network(crops), strict=True)
        ]

    (refined,) = Refiner(HELEN, aspect=1.0).at([parsed(box_around(300, 180, 110, 110))], infer)
    assert not refined.crop.is_upright
    assert 0.9 < refined.score < 0.99

"""How often a detection's labels are looked at, and from which crop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.candidates import CandidateExaminer, with_whole_face
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around, cut
from rtseg.labels import HELEN
from tests.faces.stage import tilted
from tests.support.painted import COLOURS, PaintedBackend, blurred, scene


class Network:
    """Reads one painted head of 120 pixels; remembers the crops that it was asked for."""

    def __init__(self) -> None:
        self.image, _ = scene(360, 640, (300, 180, 120))
        self.crops: list[Crop] = []
        self.backend = PaintedBackend(input_height=128, input_width=128, stride=4)

    def __call__(self, crops: list[Crop]) -> list[np.ndarray]:
        self.crops += crops
        pictures = np.zeros((len(crops), 128, 128, 3), np.uint8)
        for picture, crop in zip(pictures, crops, strict=True):
            cut(self.image, crop, out=picture)
        return list(self.backend.infer(pictures))


def detection(head: Box, *, roll: float | None = 0.0) -> FaceDetection:
    return FaceDetection(box=head, head=head, score=0.9, roll_degrees=roll)


FITTING = detection(box_around(301, 181, 92, 118))
OFF = detection(box_around(330, 155, 92, 118))
NOBODY = detection(box_around(80, 80, 92, 118))


@pytest.mark.parametrize(("where", "crops"), [(FITTING, 1), (OFF, 2), (NOBODY, 1)])
def test_only_a_face_that_does_not_fit_its_crop_gets_another(
    where: FaceDetection, crops: int
) -> None:
    network = Network()
    (candidate,) = CandidateExaminer(HELEN, aspect=1.0)([where], network)
    assert len(network.crops) == crops
    assert (candidate is None) is (where is NOBODY)
    if candidate is not None:
        assert candidate.parsed.head.centre == pytest.approx((300, 180), abs=3)
        assert candidate.crop is network.crops[-1]
        assert candidate.detection.score > 0.9
        assert candidate.detection.track_id is None


def test_a_crop_that_shows_a_followed_face_again_gets_no_better_one() -> None:
    network = Network()
    examine = CandidateExaminer(HELEN, aspect=1.0)
    (candidate,) = examine([OFF], network, known=[FITTING.box])
    assert len(network.crops) == 1
    assert candidate is not None
    assert candidate.suggested == OFF.box
    examine([OFF], network, known=[NOBODY.box])
    assert len(network.crops) == 3


@pytest.mark.parametrize("doubtful", [0, 1])
def test_of_two_crops_the_one_that_shows_the_face_better_counts(doubtful: int) -> None:
    network = Network()

    def infer(crops: list[Crop]) -> list[np.ndarray]:
        call = len(network.crops)
        return [blurred(one) if call == doubtful else one for one in network(crops)]

    (candidate,) = CandidateExaminer(HELEN, aspect=1.0)([OFF], infer)
    assert candidate is not None
    assert len(network.crops) == 2
    assert candidate.crop is network.crops[1 - doubtful]


@pytest.mark.parametrize("less_sure", [0, 1])
def test_the_likeliest_of_two_crops_is_remembered(less_sure: int) -> None:
    network = Network()

    def infer(crops: list[Crop]) -> list[np.ndarray]:
        call = len(network.crops)
        maps = network(crops)
        for probabilities in maps:
            if call == less_sure:
                probabilities *= 0.96
                probabilities[..., 0] += 0.04
        return maps

    (candidate,) = CandidateExaminer(HELEN, aspect=1.0)([OFF], infer)
    assert candidate is not None
    assert candidate.crop is network.crops[1]
    assert (candidate.likeliest > candidate.detection.score) is (less_sure == 1)


def test_each_detection_has_its_answer_in_order() -> None:
    network = Network()
    answers = CandidateExaminer(HELEN, aspect=1.0)([NOBODY, OFF, NOBODY, FITTING], network)
    assert [answer is not None for answer in answers] == [False, True, False, True]
    assert len(network.crops) == 5
    assert CandidateExaminer(HELEN, aspect=1.0)([], network) == []


def test_crops_are_rotated_as_the_detection() -> None:
    network = Network()
    examine = CandidateExaminer(HELEN, aspect=1.0)
    examine([NOBODY, detection(NOBODY.box, roll=40.0)], network)
    assert [crop.roll_degrees for crop in network.crops] == [0, 40]


def test_a_face_of_which_too_little_shows_is_rotated_as_the_crop_in_which_it_was_found() -> None:
    image, labels = tilted(300, 180, 120, 60)
    image[np.isin(labels, (*HELEN.nose, *HELEN.mouth))] = COLOURS[HELEN.skin[0]]
    network = Network()
    network.image = image
    (candidate,) = CandidateExaminer(HELEN, aspect=1.0)(
        [detection(box_around(300, 180, 110, 110), roll=60.0)], network
    )
    assert candidate is not None
    assert candidate.parsed.roll_degrees is None
    assert candidate.detection.roll_degrees == candidate.crop.roll_degrees == 60


def test_a_covered_chin_is_included_where_the_finder_sees_it() -> None:
    head = FITTING.box
    (seen,) = CandidateExaminer(HELEN, aspect=1.0)([FITTING], Network())
    assert seen is not None
    labelled = seen.parsed.face
    long = replace(labelled, bottom=labelled.bottom + 0.5 * labelled.height)
    found = replace(FITTING, box=long, head=head)
    (masked,) = CandidateExaminer(HELEN, aspect=1.0)([found], Network())
    assert masked is not None
    assert masked.detection.box.bottom == pytest.approx(long.bottom, abs=1)
    assert masked.detection.box.overlap(long) > 0.95
    assert masked.parsed.face == labelled
    proportion = masked.detection.proportion
    assert proportion == pytest.approx(long.height / long.width, rel=0.05)
    # in later frames, no finder runs; the proportion is all that is known
    assert seen.with_proportion(proportion).detection.box.overlap(long) > 0.95
    assert seen.with_proportion(None) is seen
    agreeing = replace(FITTING, box=labelled, head=head)
    (whole,) = CandidateExaminer(HELEN, aspect=1.0)([agreeing], Network())
    assert whole is not None
    assert whole.detection.box == labelled
    assert whole.detection.proportion is None


def test_a_detection_without_a_head_is_examined_around_its_box() -> None:
    network = Network()
    where = FaceDetection(box=FITTING.box, score=0.9)
    (candidate,) = CandidateExaminer(HELEN, aspect=1.0)([where], network)
    assert candidate is not None
    assert candidate.parsed.head.centre == pytest.approx((300, 180), abs=3)
    assert candidate.suggested == FITTING.box


def test_a_worse_second_crop_of_one_face_does_not_keep_the_next_from_a_better_one() -> None:
    network = Network()

    def infer(crops: list[Crop]) -> list[np.ndarray]:
        is_second = bool(network.crops)
        maps = network(crops)
        return [blurred(maps[0]), *maps[1:]] if is_second else maps

    first, second = CandidateExaminer(HELEN, aspect=1.0)([OFF, OFF], infer)
    assert len(network.crops) == 4
    assert first is not None
    assert second is not None
    assert first.crop is network.crops[0]
    assert second.crop is network.crops[3]


def test_crops_rotated_otherwise_are_rotated_against_the_detections_own_roll() -> None:
    network = Network()
    examine = CandidateExaminer(HELEN, aspect=1.0)
    assert examine.turned([NOBODY, detection(NOBODY.box, roll=-150.0)], network) == [None, None]
    assert [crop.roll_degrees for crop in network.crops] == [75, -75, -75, 135]
    network.crops.clear()
    examine.turned([NOBODY], network, by=[-75.0])
    assert [crop.roll_degrees for crop in network.crops] == [-75]


@pytest.mark.parametrize("lies_at", [70.0, -80.0])
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_face_in_a_rotated_crop_shows_every_part(lies_at: float, is_whole: bool) -> None:
    network = Network()
    labels = tilted(300, 180, 120, lies_at)[1]
    if not is_whole:
        labels[np.isin(labels, [6, 7, 8, 9])] = 1  # neither nose nor mouth
    network.image = COLOURS[labels]
    (candidate,) = CandidateExaminer(HELEN, aspect=1.0).turned([FITTING], network)
    assert (candidate is not None) is is_whole
    if candidate is not None:
        assert candidate.crop.roll_degrees == pytest.approx(lies_at, abs=10)
        assert candidate.roll_degrees == pytest.approx(lies_at, abs=5)


def test_a_face_of_unknown_roll_is_taken_to_be_rotated_like_its_crop() -> None:
    network = Network()
    (candidate,) = CandidateExaminer(HELEN, aspect=1.0)([FITTING], network)
    assert candidate is not None
    unknown = replace(candidate.parsed, roll_degrees=None)
    crop = replace(candidate.crop, roll_degrees=40.0)
    assert replace(candidate, parsed=unknown, crop=crop).roll_degrees == 40


@pytest.mark.parametrize(
    ("read", "crop_roll", "roll"),
    [
        (30.0, 0.0, 30.0),
        (-30.0, 0.0, -30.0),
        (140.0, 0.0, 0.0),  # labels that are rotated as much show nothing
        (-140.0, 20.0, 20.0),
        (None, 20.0, 20.0),
    ],
)
def test_a_face_is_rotated_like_its_crop_where_its_labels_cannot_be_right(
    read: float | None, crop_roll: float, roll: float
) -> None:
    (seen,) = CandidateExaminer(HELEN, aspect=1.0)([FITTING], Network())
    assert seen is not None
    candidate = replace(
        seen,
        crop=replace(seen.crop, roll_degrees=crop_roll),
        parsed=replace(seen.parsed, roll_degrees=read),
    )
    assert candidate.roll_degrees == roll


def test_a_mask_whose_labels_seem_upside_down_is_still_below_the_eyes() -> None:
    (seen,) = CandidateExaminer(HELEN, aspect=1.0)([FITTING], Network())
    assert seen is not None
    face = seen.parsed.face
    upper = replace(face, bottom=face.top + 0.5 * face.height)
    odd = replace(seen, parsed=replace(seen.parsed, face=upper, roll_degrees=170.0))
    assert odd.with_whole_face(face).detection.box.overlap(face) > 0.95


def test_only_a_sure_box_of_the_same_face_says_what_is_covered() -> None:
    (seen,) = CandidateExaminer(HELEN, aspect=1.0)([FITTING], Network())
    assert seen is not None
    face = seen.parsed.face
    long = replace(face, bottom=face.bottom + 0.5 * face.height)
    beside = NOBODY
    sure, unsure = replace(FITTING, box=long, score=0.5), replace(FITTING, box=long, score=0.49)
    assert with_whole_face(seen, [sure]).detection.box.overlap(long) > 0.95
    assert with_whole_face(seen, [beside, sure]).detection.box.overlap(long) > 0.95
    for detections in ([], [unsure], [beside], [unsure, sure]):
        assert with_whole_face(seen, detections) is seen
    away = replace(seen, detection=replace(seen.detection, is_turned_away=True))
    assert with_whole_face(away, [sure]) is away


@pytest.mark.parametrize(("probability", "crops"), [(0.039, 1), (0.04, 2)])
def test_a_better_crop_is_tried_for_what_may_still_be_a_face(
    monkeypatch: pytest.MonkeyPatch, probability: float, crops: int
) -> None:
    monkeypatch.setattr("rtseg.faces.candidates.face_probability", lambda *_, **__: probability)
    network = Network()
    CandidateExaminer(HELEN, aspect=1.0)([OFF], network)
    assert len(network.crops) == crops

"""Faces of which one look shows too little are found, and kept, by several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.candidates import FaceCandidate
from rtseg.faces.neighbours import continuing_faces
from rtseg.faces.track import Track
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around
from rtseg.labels import HELEN
from tests.faces.stage import Stage, Suggests, ids, seen_at
from tests.faces.test_following_beside import candidate
from tests.support.painted import COLOURS, PARTS, paint

SECOND = 30
CENTRE = (320, 180)
TALL = 150
BALD = tuple(part for part in PARTS if part != 10)


class Unsure(Stage):
    """A stage whose labels are less certain than painted."""

    certainty = 1.0

    def infer_crops(self, crops):
        maps = super().infer_crops(crops)
        for probabilities in maps:
            probabilities *= self.certainty
            probabilities[..., HELEN.background] += 1 - self.certainty
        return maps


class Closer(Suggests):
    """A finder that scores what it sees from close by otherwise than from afar."""

    def __init__(self, *detections: FaceDetection, closer: float) -> None:
        super().__init__(*detections)
        self.closer = closer
        self.looks: list[Crop] = []

    def __call__(self, picture, infer, *, regions, known=()):
        close = [
            region
            for region in regions
            if any(is_around(region, detection.box) for detection in self.found)
        ]
        self.looks += close
        if not close or len(close) < len(regions):
            return self.found
        return [replace(detection, score=self.closer) for detection in self.found if self.closer]


def watched(finder: Suggests, *, certainty: float = 1.0, **options) -> Unsure:
    stage = Unsure(finder=finder, fine=False, **options)
    stage.certainty = certainty
    return stage


def face_shown(*parts: int, x: float = CENTRE[0], y: float = CENTRE[1]) -> np.ndarray:
    labels = np.zeros((360, 640), np.uint8)
    paint(labels, x, y, TALL, parts=parts or tuple(PARTS))
    return COLOURS[labels]


def test_what_every_look_finds_likely_is_found_within_a_second() -> None:
    stage = watched(Closer(seen_at(*CENTRE, 0.85), closer=0.85), certainty=0.83)
    counts = [len(stage.show((*CENTRE, TALL))) for _ in range(SECOND)]
    assert counts[0] == 0  # one look alone says 0.4
    assert counts[-1] == 1


def test_what_every_look_finds_unlikely_is_never_found() -> None:
    stage = watched(Closer(seen_at(*CENTRE, 0.7), closer=0.7), certainty=0.75)
    assert not any(stage.show((*CENTRE, TALL)) for _ in range(4 * SECOND))


def test_what_is_no_face_from_close_by_is_not_taken_for_one() -> None:
    from_afar = seen_at(*CENTRE, 0.95)
    stage = watched(Closer(from_afar, closer=0.95), certainty=0.85)
    assert len(stage.show((*CENTRE, TALL))) == 1
    stage = watched(Closer(from_afar, closer=0.0), certainty=0.85)
    assert stage.show((*CENTRE, TALL)) == ()


def test_a_face_that_is_certain_needs_no_closer_look() -> None:
    finder = Closer(seen_at(*CENTRE, 0.95), closer=0.95)
    stage = watched(finder)
    for _ in range(SECOND):
        stage.show((*CENTRE, TALL))
    box = finder.found[0].box
    around = stage.follower.schedule.around(box)
    assert around not in finder.looks


def test_a_promising_place_is_looked_at_again_although_its_turn_has_not_come() -> None:
    near, far = seen_at(160, 180, 0.95), seen_at(480, 180, 0.6)
    finder = Closer(near, far, closer=0.6)
    stage = watched(finder, detect_every=60)
    stage.show((160, 180, TALL))
    stage.follower.newcomers.evidence.weigh(far.box, 0.4)
    finder.looks.clear()
    for _ in range(5):
        stage.show((160, 180, TALL))
    assert any(is_around(look, far.box) for look in finder.looks)


def is_around(region: Crop, box: Box) -> bool:
    return region.box.centre == pytest.approx(box.centre)


def followed(finder: Suggests, *, parts: Sequence[int] = BALD) -> Unsure:
    """A stage that has followed a bald head for a while."""
    stage = watched(finder, detect_every=6)
    for _ in range(20):
        faces = stage.show(image=face_shown(*parts))
    assert ids(faces) == {1}
    return stage


def test_a_followed_face_with_vague_labels_is_kept_where_the_finder_sees_it() -> None:
    finder = Closer(seen_at(*CENTRE, 0.95), closer=0.95)
    stage = followed(finder)
    stage.certainty = 0.7
    for _ in range(SECOND):  # without eyes and mouth the labels' own score is too low
        faces = stage.show(image=face_shown(1, 6))
        assert ids(faces) == {1}


def test_what_was_seen_of_a_followed_face_counts_for_its_place() -> None:
    x, y = CENTRE
    finder = Closer(seen_at(x, y, 0.95), closer=0.95)
    stage = watched(finder, certainty=0.85, detect_every=3)  # barely confirmed
    evidence = stage.follower.newcomers.evidence
    for step in range(12):  # it becomes clearer, and moves by its own size
        finder.found = [seen_at(x + 8 * step, y, 0.95)]
        stage.show(image=face_shown(*BALD, x=x + 8 * step))
        stage.certainty = 1.0
    for _ in range(2):
        here = evidence.weigh(seen_at(x + 88, y, 0.95).box, 0.1)
        before = evidence.weigh(seen_at(x, y, 0.95).box, 0.1)
    assert here > 0.5
    assert before < 0.2


def test_it_is_lost_where_the_finder_sees_nothing() -> None:
    finder = Closer(seen_at(*CENTRE, 0.95), closer=0.95)
    stage = followed(finder)
    stage.certainty = 0.7
    finder.found = []
    for _ in range(4):
        faces = stage.show(image=face_shown(1, 6))
    assert faces == ()


def test_a_face_that_left_is_not_kept_by_what_was_known_of_it() -> None:
    finder = Closer(seen_at(*CENTRE, 0.95), closer=0.5)
    stage = followed(finder)
    finder.found = [seen_at(*CENTRE, 0.5)]
    for _ in range(SECOND):
        faces = stage.show()
    assert faces == ()


def test_the_crop_does_not_shrink_to_a_part_of_the_face() -> None:
    whole_face = FaceDetection(box=Box(left=275, top=108, right=365, bottom=264), score=0.95)
    stage = followed(Closer(whole_face, closer=0.95))
    whole = stage.show(image=face_shown(*BALD))[0]
    labels = np.zeros((360, 640), np.uint8)
    paint(labels, *CENTRE, TALL, parts=BALD)
    labels[:205] = 0  # the tip of the nose, the mouth and the chin
    for _ in range(10):
        (face,) = stage.show(image=COLOURS[labels])
        assert face.track_id == 1
        assert face.crop.box.height > 0.8 * whole.crop.box.height


def test_a_crop_does_not_turn_by_what_it_cannot_have_shown() -> None:
    finder = Closer(seen_at(*CENTRE, 0.95), closer=0.95)
    stage = followed(finder)
    labels = np.zeros((360, 640), np.uint8)
    paint(labels, *CENTRE, TALL, parts=(2, 3, 4, 5, 6, 7, 8, 9))
    matrix = cv2.getRotationMatrix2D((CENTRE[0], CENTRE[1] + 0.14 * TALL), -85, 1)
    lying = cv2.warpAffine(labels, matrix, (640, 360), flags=cv2.INTER_NEAREST)
    shown = np.zeros((360, 640), np.uint8)
    paint(shown, *CENTRE, TALL, parts=(1,))
    shown[lying > 0] = lying[lying > 0]
    for _ in range(10):
        (face,) = stage.show(image=COLOURS[shown])
        assert face.crop.is_upright


class HairInItsCrop(Unsure):
    """A stage on which the crop of a followed face shows hair alone, and every other crop a face.

    The labels depend on the crop a little, which here decides.
    """

    is_hair = False

    def infer_crops(self, crops):
        maps = super().infer_crops(crops)
        own = [track.crop for track in self.follower.tracker.tracks]
        for crop, probabilities in zip(crops, maps, strict=True):
            if self.is_hair and crop in own:
                faces = list(HELEN.face)
                probabilities[..., HELEN.hair[0]] += probabilities[..., faces].sum(-1)
                probabilities[..., faces] = 0
        return maps


def test_hair_does_not_hold_a_track_whose_face_the_finder_sees() -> None:
    finder = Closer(seen_at(*CENTRE, 0.95), closer=0.95)
    stage = HairInItsCrop(finder=finder, fine=False, detect_every=6)
    for _ in range(8):
        stage.show((*CENTRE, TALL))
    stage.is_hair = True
    faces = stage.show((*CENTRE, TALL))
    assert ids(faces) == {1}
    assert np.isin(faces[0].probabilities.argmax(-1), HELEN.face).any()


def track(track_id: int, face: Box, *, is_present: bool = True) -> Track:
    return Track(
        track_id=track_id,
        head=face,
        crop=Crop(box=box_around(360, 300, 200, 200)),
        score=0.9,
        seen_seconds=0.0,
        is_present=is_present,
    )


def shown_to(track_id: int, face: Box, *, sure: float) -> FaceCandidate:
    shown = candidate(face, sure=sure)
    return replace(shown, detection=replace(shown.detection, track_id=track_id))


FACE, BESIDE = box_around(300, 300, 80, 100), box_around(390, 300, 80, 100)


@pytest.mark.parametrize(
    ("is_present", "sure", "continues"),
    [(True, 0.4, True), (True, 0.2, False), (False, 0.7, True), (False, 0.4, False)],
)
def test_a_face_continues_its_track_only_if_the_tracker_would_accept_it(
    is_present: bool, sure: float, continues: bool
) -> None:
    shown = [shown_to(1, FACE, sure=sure)]
    expected = {1: FACE} if continues else {}
    assert continuing_faces([track(1, FACE, is_present=is_present)], shown) == expected


def test_a_neighbours_face_does_not_continue_a_lost_track() -> None:
    tracks = [track(1, FACE), track(2, box_around(355, 300, 80, 100), is_present=False)]
    shown = [shown_to(1, FACE, sure=0.9), shown_to(2, FACE, sure=0.9)]
    assert continuing_faces(tracks, shown) == {1: FACE}
    shown.append(shown_to(2, BESIDE, sure=0.9))
    assert continuing_faces(tracks, shown) == {1: FACE, 2: BESIDE}


@pytest.mark.parametrize("beside", [(), (seen_at(CENTRE[0], CENTRE[1] + 60, 0.6),)])
def test_nothing_is_searched_closely_beside_a_plainly_visible_face(
    beside: tuple[FaceDetection, ...],
) -> None:
    """Neither the face itself nor the neck below it, whose crop shows the same face again."""
    searched: list[Crop] = []

    class Recorded(Suggests):
        def __call__(self, picture, infer, *, regions, known=()):
            searched.extend(regions)
            return self.found

    finder = Recorded(seen_at(*CENTRE, 0.95))
    stage = watched(finder)
    for index in range(2 * SECOND):
        assert len(stage.show((*CENTRE, TALL))) == 1
        if index == 1:
            finder.found += beside
    usual = stage.follower.schedule.exhaustive(*stage.size)
    assert searched
    assert all(region in usual for region in searched)


def shown_by_nothing(stage: Unsure, frames: int) -> list[set[int]]:
    """The ids in frames in whose place of a face not one cell is labelled."""
    return [ids(stage.show()) for _ in range(frames)]


def test_a_followed_face_of_which_labels_show_nothing_stays_while_the_finder_is_certain() -> None:
    finder = Closer(seen_at(*CENTRE, 0.95), closer=0.8)
    stage = followed(finder)
    assert shown_by_nothing(stage, SECOND) == [{1}] * SECOND
    assert stage.crop_count == 1  # its place is not examined in every frame
    (hidden,) = stage.follower.held  # by privacy views, which have no labels to hide
    assert hidden.overlap(stage.follower.tracker.tracks[0].bounds) > 0.6
    (face,) = stage.show(image=face_shown(*BALD))  # and shows its parts again when labels do
    assert face.track_id == 1
    assert face.score > 0.6
    assert stage.follower.held == ()


@pytest.mark.parametrize("score", [0.02, 0.6])
def test_it_is_lost_where_the_finder_is_not_certain_either(score: float) -> None:
    finder = Closer(seen_at(*CENTRE, 0.95), closer=0.95)
    stage = followed(finder)
    finder.found, finder.closer = [seen_at(*CENTRE, score)], score
    assert shown_by_nothing(stage, 3)[-1] == set()


def test_a_lost_face_is_not_found_again_without_labels() -> None:
    finder = Closer(seen_at(*CENTRE, 0.95), closer=0.95)
    stage = followed(finder)
    seen, finder.found = finder.found, []
    assert shown_by_nothing(stage, 2)[-1] == set()
    finder.found = seen
    assert not any(shown_by_nothing(stage, SECOND))


def test_the_first_frame_shows_everybody_at_once_as_a_still_picture_does() -> None:
    heads = [(110 + 140 * index, 180, 100) for index in range(4)]
    finder = Suggests(*(seen_at(x, y, 0.95) for x, y, _ in heads))
    stage = watched(finder)
    assert ids(stage.show(*heads)) == {1, 2, 3, 4}
    stage.follower.reset()  # so does the first after a cut
    assert len(stage.show(*heads)) == 4
    nobody = watched(finder)
    nobody.show()
    assert len(nobody.show(*heads)) < 4


def test_a_finder_that_is_the_labelling_network_takes_its_time() -> None:
    heads = [(110 + 140 * index, 180, 100) for index in range(4)]
    stage = Stage(finder=Suggests(*(seen_at(x, y, 0.95) for x, y, _ in heads)), fine=True)
    assert len(stage.show(*heads)) == 2

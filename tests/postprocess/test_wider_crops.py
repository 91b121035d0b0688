"""A wider crop's result serves while the head hardly moves, and no longer."""

from dataclasses import replace

import numpy as np
import pytest

from rtseg.geometry.crop import box_around, crop_around
from rtseg.labels import HELEN
from rtseg.postprocess.beyond_crop import at_the_edges
from rtseg.postprocess.wider_crops import WiderCropCache, WiderCropResult
from tests.postprocess.long_hair import Clip, face_with, long_haired
from tests.support.painted import COLOURS, frame


def test_a_head_at_rest_gets_a_wider_crop_once_a_second():
    clip, labels = Clip(), long_haired()
    for _ in range(5):  # the last wider crop of these is with the final crop
        clip.show(labels)
    crops = [clip.show(labels) for _ in range(63)]
    assert set(crops) == {1, 2}
    assert crops.count(2) == 2


def test_what_a_wider_crop_has_shown_serves_while_the_head_hardly_moves():
    clip = Clip()
    for _ in range(3):
        clip.show(long_haired())
    assert [clip.show(long_haired(x=320 + shift)) for shift in (2, 4, 6)] == [1, 1, 1]
    assert 2 in [clip.show(long_haired(x=320 + shift)) for shift in (10, 14, 18)]


def test_what_a_wider_crop_has_shown_moves_along_with_the_crop():
    crop = crop_around(320, 140, 160, 1.0)
    face = face_with(long_haired(), crop)
    wide = crop_around(320, 240, 320, 1.0)
    result = WiderCropResult(
        probabilities=face.probabilities,
        beyond=face.probabilities,
        crop=wide,
        face_crop=crop,
        edges=at_the_edges(face.probabilities, HELEN),
        seconds=1.0,
    )
    cache = WiderCropCache()
    cache.keep({1: result}, present=[1])
    same = cache.lookup(face, HELEN, seconds=1.1)
    assert same == (result, wide)
    beside = replace(face, crop=replace(crop, box=box_around(328, 136, 160, 160)))
    assert cache.lookup(beside, HELEN, seconds=1.1) == (
        result,
        replace(wide, box=box_around(328, 236, 320, 320)),
    )
    far = replace(face, crop=replace(crop, box=box_around(345, 140, 160, 160)))
    near = replace(face, crop=replace(crop, box=box_around(320, 140, 180, 180)))
    turned = replace(face, crop=replace(crop, roll_degrees=20.0))
    cropped = replace(face, probabilities=np.roll(face.probabilities, 4, axis=1))
    other = replace(face, track_id=2)
    for changed in (far, near, turned, cropped, other):
        assert cache.lookup(changed, HELEN, seconds=1.12) is None
    assert cache.lookup(cropped, HELEN, seconds=1.05) is not None  # flicker at the edges
    assert cache.lookup(beside, HELEN, seconds=1.4) is None  # too long ago
    assert cache.lookup(face, HELEN, seconds=1.9) == (result, wide)  # it has not moved at all
    assert cache.lookup(face, HELEN, seconds=2.0) is None  # a whole second ago
    assert cache.lookup(face, HELEN, seconds=1.0) == (result, wide)
    assert cache.lookup(face, HELEN, seconds=0.9) is None  # the stream went back
    # kept for a track that needed none in a frame, and forgotten with its track
    cache.keep({}, present=[1, 2])
    assert cache.lookup(face, HELEN, seconds=1.1) == same
    cache.keep({}, present=[2])
    assert cache.lookup(face, HELEN, seconds=1.1) is None
    cache.keep({1: result}, present=[1])
    cache.clear()
    assert cache.lookup(face, HELEN, seconds=1.1) is None


def test_a_few_cells_that_come_and_go_at_the_edges_are_no_change():
    crop = crop_around(320, 140, 160, 1.0)
    face = face_with(long_haired(), crop)
    edges = at_the_edges(face.probabilities, HELEN)
    side = edges.size // 4
    for count, is_kept in ((0, True), (int(0.06 * side), True), (side, False)):
        before = edges.copy()
        before[np.flatnonzero(~edges)[:count]] = True
        cache = WiderCropCache()
        result = WiderCropResult(
            probabilities=face.probabilities,
            beyond=face.probabilities,
            crop=crop,
            face_crop=crop,
            edges=before,
            seconds=1.0,
        )
        cache.keep({1: result}, present=[1])
        assert (cache.lookup(face, HELEN, seconds=1.12) is not None) is is_kept


def test_where_nothing_went_on_beyond_the_crop_the_next_wider_crop_waits():
    crop = crop_around(320, 140, 160, 1.0)
    face = face_with(long_haired(), crop)
    edges = at_the_edges(face.probabilities, HELEN)
    far = replace(face, crop=replace(crop, box=box_around(345, 140, 160, 160)))
    for beyond, is_kept in ((None, True), (face.probabilities, False)):
        cache = WiderCropCache()
        result = WiderCropResult(
            probabilities=face.probabilities,
            beyond=beyond,
            crop=crop,
            face_crop=crop,
            edges=edges,
            seconds=1.0,
        )
        cache.keep({1: result}, present=[1])
        assert (cache.lookup(far, HELEN, seconds=1.2) is not None) is is_kept
        assert cache.lookup(far, HELEN, seconds=1.25) is None


@pytest.mark.parametrize(
    ("change", "least"),
    [
        # the head has moved far, a frame before its crop does
        ({"x": 350}, 0.9),
        # the hair at the crop's edge has changed
        ({"wide": 24}, 0.7),
    ],
)
def test_a_change_asks_for_another_wider_crop_at_once(change, least):
    clip = Clip()
    for _ in range(3):
        clip.show(long_haired())
    crops = [clip.show(long_haired(**change), least=least) for _ in range(3)]
    assert 2 in crops


def test_a_wider_crop_is_forgotten_after_a_cut():
    clip = Clip()
    for _ in range(3):
        clip.show(long_haired())
    broken = replace(frame(COLOURS[long_haired(reach=200)], clip.count), discontinuity=True)
    labels = clip.segmenter(broken).labels
    assert (labels[260:] == 0).all()

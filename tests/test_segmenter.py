"""Segmenting pictures and streams with a painted network."""

import itertools

import cv2
import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.segmenter import Segmenter
from rtseg.settings import FaceSettings
from tests.support.painted import COLOURS, PaintedBackend, frame, scene
from tests.support.segmented import agreement, segmenter


@pytest.mark.parametrize(
    "heads",
    [
        [(320, 180, 150)],
        [(320, 180, 340)],
        [(20, 170, 160)],
        [(180, 180, 140), (470, 200, 200)],
    ],
)
def test_labels_match_the_painted_regions(heads):
    image, truth = scene(360, 640, *heads)
    result = segmenter()(image)
    assert result.labels.shape == (360, 640)
    assert len(result.faces) == len(heads)
    assert agreement(result.labels, truth) > 0.9
    stream = segmenter()
    for index in range(3):
        result = stream(frame(image, index))
    assert agreement(result.labels, truth) > 0.9


@pytest.mark.parametrize("degrees", [-50, 40])
@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_labels_of_a_tilted_head_match_the_painted_regions(degrees, smoothing):
    labels = scene(360, 640, (320, 180, 200))[1]
    matrix = cv2.getRotationMatrix2D((319.5, 179.5), -degrees, 1)
    truth = cv2.warpAffine(labels, matrix, (640, 360), flags=cv2.INTER_NEAREST)
    stream = segmenter(smoothing=smoothing)
    for index in range(4):
        result = stream(frame(COLOURS[truth], index))
    assert agreement(result.labels, truth) > 0.9
    (track,) = stream._stream.follower.tracker.tracks
    assert track.crop.roll_degrees == pytest.approx(degrees, abs=6)
    rows, columns = np.nonzero(result.labels)
    box = result.faces[0].box
    assert (box.left, box.right) == pytest.approx((columns.min(), columns.max() + 1), abs=8)
    assert (box.top, box.bottom) == pytest.approx((rows.min(), rows.max() + 1), abs=8)


def test_faces_are_told_largest_first_with_boxes_inside_the_frame():
    image, _ = scene(360, 640, (10, 180, 150), (420, 180, 220))
    large, small = segmenter()(image).faces
    assert large.box.height > small.box.height
    assert small.box.left == 0
    assert {large.track_id, small.track_id} == {1, 2}


def test_a_picture_without_a_face():
    result = segmenter()(np.full((90, 160, 3), 114, np.uint8))
    assert result.faces == ()
    assert not result.labels.any()


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 500), (500, 1), (2, 3), (31, 17), (9, 1000), (128, 128), (719, 1279)]
)
def test_any_size_goes_through(size):
    image = COLOURS[np.random.default_rng(0).integers(0, 11, size)]
    assert segmenter()(image).labels.shape == size
    stream = segmenter(smoothing=1.0)
    for index in range(2):
        assert stream(frame(image, index)).labels.shape == size


def test_views_of_arrays_go_through():
    image, truth = scene(360, 640, (320, 180, 200))
    result = segmenter()(image[:, ::-1])
    assert agreement(result.labels[:, ::-1] > 0, truth > 0) > 0.95
    frozen = image.copy()
    frozen.flags.writeable = False
    segmenter()(frozen)


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(SettingError, match="an image must be uint8"):
        segmenter()(bad)


def test_a_still_depends_on_nothing_and_disturbs_nothing():
    still, _ = scene(360, 640, (480, 200, 120))
    moving = [scene(360, 640, (100 + 8 * i, 180, 150))[0] for i in range(8)]
    mixed, alone = segmenter(smoothing=0.5), segmenter(smoothing=0.5)
    expected = segmenter()(still)
    for index, image in enumerate(moving):
        result = mixed(frame(image, index))
        between = mixed(still)
        np.testing.assert_array_equal(between.labels, expected.labels)
        assert between.faces == expected.faces
        np.testing.assert_array_equal(result.labels, alone(frame(image, index)).labels)


def test_the_same_stream_gives_the_same_labels_twice():
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 12, (12, 180, 320, 3)).astype(np.uint8)

    def run():
        stream = segmenter(smoothing=0.7, detect_every=4)
        results = []
        for index in range(12):
            image = scene(180, 320, (60 + 14 * index, 90, 90), (250, 60, 60))[0]
            results.append(stream(frame(np.maximum(image, noise[index]), index)))
        return results

    for first, second in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(first.labels, second.labels)
        assert first.faces == second.faces


def test_smoothing_of_zero_is_exactly_none():
    """Against a stream whose every frame is told to forget what was averaged."""
    images = [scene(180, 320, (150 + index, 90, 110))[0] for index in range(6)]
    off, on = segmenter(smoothing=0.0), segmenter(smoothing=1.0)
    differs = False
    for index, image in enumerate(images):
        labels = off(frame(image, index)).labels
        smoothed = on(frame(image, index)).labels
        on._stream.smoothers.clear()
        np.testing.assert_array_equal(labels, smoothed)
        differs = differs or labels.any()
    assert differs


class Doubting(PaintedBackend):
    """As sure of hair as of background, by turns."""

    def infer(self, crops):
        out = super().infer(crops)
        rng = np.random.default_rng(len(self.batches))
        doubt = rng.uniform(0.2, 0.7, (*out.shape[:3], 1)).astype(np.float32)
        hair = out[..., 10:] * doubt
        out[..., :1] += hair
        out[..., 10:] -= hair
        return out


def of_a_still_face(smoothing, *, frames):
    backend = Doubting(input_height=128, input_width=128)
    stream = Segmenter(backend=backend, faces=FaceSettings(smoothing=smoothing))
    image, _ = scene(180, 320, (160, 90, 140))
    return stream, [stream(frame(image, index)) for index in range(frames)]


def test_smoothing_steadies_a_still_face():
    def changes(smoothing):
        labels = [result.labels for result in of_a_still_face(smoothing, frames=25)[1]]
        return np.mean([(old != new).mean() for old, new in itertools.pairwise(labels[10:])])

    assert changes(0.5) < 0.4 * changes(0.0)


def test_smoothing_steadies_the_box_as_well_as_the_labels():
    """A face is read from the smoothed labels; reading it from others, boxes would tremble."""

    def trembling(smoothing):
        heads = []
        stream = of_a_still_face(smoothing, frames=10)[0]
        image, _ = scene(180, 320, (160, 90, 140))
        for index in range(10, 40):
            stream(frame(image, index))
            (track,) = stream._stream.follower.tracker.tracks
            heads.append(track.head.xyxy)
        return float(np.std(heads, axis=0).max())

    assert trembling(0.5) < 0.4 * trembling(0.0)


@pytest.mark.parametrize("how", ["flag", "cut", "size", "reset"])
def test_a_break_leaves_no_ghost(how):
    """The first output after it equals that of a fresh stream."""
    before, _ = scene(180, 320, (120, 90, 140))
    after, _ = scene(180, 320, (140, 90, 140))
    if how == "cut":
        after[(after == COLOURS[0]).all(2)] = 114  # a lighter room; also read as background
    if how == "size":
        after = np.ascontiguousarray(after[:170])
    stream = segmenter(smoothing=1.0)
    for index in range(5):
        stream(frame(before, index))
    if how == "reset":
        stream.reset()
    result = stream(frame(after, 5, discontinuity=how == "flag"))
    fresh = segmenter(smoothing=1.0)(frame(after, 5))
    np.testing.assert_array_equal(result.labels, fresh.labels)


def test_an_absent_face_leaves_no_average_behind():
    stream = segmenter(smoothing=1.0)
    image, _ = scene(180, 320, (160, 90, 50))  # so small that its end is no cut
    nothing = np.zeros_like(image)
    for index in range(4):
        stream(frame(image, index))
    tracker = stream._stream.follower.tracker
    assert stream._stream.smoothers
    assert not stream(frame(nothing, 4)).labels.any()
    assert tracker.tracks, "a cut was seen, where the face only went"
    assert not stream._stream.smoothers


def test_where_faces_overlap_the_larger_one_wins():
    small, large = (210, 170, 110), (320, 200, 220)
    image, truth = scene(360, 640, small, large)  # the larger one stands in front
    result = segmenter()(image)
    assert len(result.faces) == 2
    _, alone = scene(360, 640, large)
    assert (result.labels == truth)[alone > 0].mean() > 0.9


def test_a_small_face_beside_a_large_one_keeps_its_own_sharpness():
    """The large face's crop shows it too, but coarsely."""
    image, truth = scene(360, 640, (300, 180, 300), (450, 150, 50))
    result = segmenter()(image)
    assert len(result.faces) == 2
    part = np.s_[120:180, 428:472]
    assert agreement(result.labels[part], truth[part]) > 0.9


def test_labels_come_from_the_faces_that_are_told():
    """A face more than is asked for shows in a neighbour's crop, but is not labelled."""
    image, _ = scene(360, 640, (260, 180, 200), (390, 180, 110))
    result = segmenter(max_faces=1)(image)
    assert len(result.faces) == 1
    only = scene(360, 640, (260, 180, 200))[1]
    assert agreement(result.labels, only) > 0.9
    assert len(segmenter(max_faces=2)(image).faces) == 2


@pytest.mark.parametrize("degrees", [0, 40])
def test_soft_masks_go_with_the_labels_of_every_face_and_frame(degrees):
    labels = scene(360, 640, (180, 180, 140), (470, 200, 200))[1]
    matrix = cv2.getRotationMatrix2D((319.5, 179.5), -degrees, 1)
    truth = cv2.warpAffine(labels, matrix, (640, 360), flags=cv2.INTER_NEAREST)
    stream = Segmenter(backend=PaintedBackend(input_height=128, input_width=128), soft=True)
    for index in range(3):
        result = stream(frame(COLOURS[truth], index))
        for names in (("hair",), ("face",), ("lips", "nose")):
            alpha, mask = result.alpha(*names), result.mask(*names)
            assert mask[alpha > 0.5].all()
            assert (alpha[mask] >= 0.5).all()
    # what is kept is the crops' own, small maps: no mask of the frame's size
    held = sum(part.probabilities.nbytes for part in result.soft._crops)
    assert held < 0.5 * result.labels.nbytes
    assert segmenter()(COLOURS[truth]).soft is None


def test_soft_masks_are_steadied_as_labels_are():
    class Unsure(PaintedBackend):
        """Its probabilities tremble from frame to frame."""

        def infer(self, crops):
            maps = super().infer(crops)
            return 0.9 * maps + self.noise.random(maps.shape, np.float32) * 0.018

        noise = np.random.default_rng(3)

    image = scene(360, 640, (320, 180, 200))[0]

    def trembling(smoothing):
        stream = Segmenter(
            backend=Unsure(input_height=128, input_width=128),
            faces=FaceSettings(smoothing=smoothing, detect_every=1000),
            soft=True,
        )
        alphas = [stream(frame(image, index)).alpha("hair") for index in range(12)]
        return np.abs(np.diff(alphas[6:], axis=0)).mean()

    assert 0 < trembling(0.5) < 0.4 * trembling(0.0)


@pytest.mark.parametrize("hold", [1.0, 0.0])
def test_the_place_of_a_face_that_one_frame_misses_is_held(hold):
    image, _ = scene(360, 640, (320, 180, 150))
    empty = scene(360, 640)[0]
    stream = segmenter(hold=hold)
    for index in range(3):
        shown = stream(frame(image, index))
        assert shown.held == ()
    (face,) = shown.faces
    missed = stream(frame(empty, 3))
    assert missed.faces == ()
    if not hold:
        assert missed.held == ()
        return
    (place,) = missed.held
    assert place.left < face.box.left
    assert place.bottom > face.box.bottom
    assert stream(frame(empty, 20)).held == (place,)
    assert stream(frame(empty, 40)).held == ()


def test_frames_that_nobody_needs_may_be_left_unfinished():
    """As those are that a live run drops before they are shown."""
    every, third = segmenter(smoothing=1.0), segmenter(smoothing=1.0)
    for index in range(12):
        image, _ = scene(360, 640, (300 + 3 * index, 180, 150))
        expected, begun = every(frame(image, index)), third.begin(frame(image, index))
        if index % 3 == 2:
            np.testing.assert_array_equal(begun.finish().labels, expected.labels)


@pytest.mark.parametrize("soft", [False, True])
def test_frames_begun_ahead_are_finished_as_if_one_by_one(soft):
    """What a later frame begins must not change what an earlier one has still to do."""

    def frames():
        for index in range(10):
            image, _ = scene(360, 640, (300 + 3 * index, 180, 150), (560, 100, 120 + index))
            yield frame(image, index, discontinuity=index == 4)
        yield frame(np.ascontiguousarray(image[:340]), 10)
        for index in range(11, 16):  # one of the faces has gone
            yield frame(scene(360, 640, (330, 180, 150))[0], index)

    one_by_one, ahead = segmenter(smoothing=1.0), segmenter(smoothing=1.0)
    one_by_one.soft = ahead.soft = soft
    expected = [one_by_one(each) for each in frames()]
    unfinished = [ahead.begin(each) for each in frames()]
    assert all(each.size_bytes > 360 * 640 for each in unfinished[:5])
    for before, after in zip(expected, [each.finish() for each in unfinished], strict=True):
        np.testing.assert_array_equal(before.labels, after.labels)
        assert before.faces == after.faces
        assert before.held == after.held
        if soft:
            np.testing.assert_array_equal(before.alpha("hair"), after.alpha("hair"))

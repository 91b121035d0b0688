"""The training views of a face-part model."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.labels import FACE_PARTS, HELEN, LabelSet
from tests.training.conftest import draw_face
from training.augment.heads import head_of
from training.augment.scene_settings import SceneSettings
from training.augment.scenes import FaceViews
from training.augment.transforms import PhotometricSettings
from training.data.base import Sample
from training.losses.functions import FIRST_SET

PLAIN = PhotometricSettings(colour=0, grey=0, enlarge=0, blur=0, noise=0, jpeg=0)


def views_of(seed: int = 0, **changes: object) -> FaceViews:
    image, labels = draw_face()
    settings = SceneSettings(**{"photometric": PLAIN, **changes})  # type: ignore[arg-type]
    grey = np.full((120, 160, 3), 90, np.uint8)
    return FaceViews(
        [Sample(name="a", image=image, labels=labels)],
        [grey],
        label_set=HELEN,
        settings=settings,
        seed=seed,
    )


def test_a_head_is_found_where_it_is():
    image, labels = draw_face()
    head = head_of(Sample(name="a", image=image, labels=labels), HELEN)
    assert head is not None
    assert (head.top, head.bottom) == pytest.approx((20, 201), abs=1)
    assert head.chin == pytest.approx((128.5, 201), abs=1)
    np.testing.assert_array_equal(head.skin, HELEN.colours[1])
    assert head_of(Sample(name="b", image=image, labels=labels * 0), HELEN) is None


def test_a_view_depends_only_on_seed_and_index():
    first, second = views_of(composites=0.5), views_of(composites=0.5)
    second[3]
    for index in (5, 2):
        for one, other in zip(first[index], second[index], strict=True):
            np.testing.assert_array_equal(one, other)
    assert (views_of(seed=1)[5][0] != first[5][0]).any()


def test_views_settle_at_the_configured_point():
    early, late = views_of(composites=0.0), views_of(composites=0.9)
    settled = early.settled(late.settings, at=6)
    for index, source in ((0, early), (5, early), (6, late), (9, late)):
        np.testing.assert_array_equal(settled[index][0], source[index][0])
        assert (early[index][0] != late[index][0]).any()
    np.testing.assert_array_equal(early[6][0], views_of(composites=0.0)[6][0])


def test_pictures_may_be_shown_unmodified():
    image, labels = draw_face()
    views = views_of(composites=0.0, negatives=0.0, as_is=1.0, occluded=1.0)
    mirrored = views.composer.flipped[labels[:, ::-1]]
    kinds = set()
    for index in range(12):
        view, target = views[index]
        same = [(target == whole).mean() for whole in (labels, mirrored)]
        assert max(same) > 0.96  # shifted by at most a pixel
        assert (target[2:-2, 2:-2] != 255).all()
        kinds.add(int(np.argmax(same)))
        whole = image if same[0] > same[1] else image[:, ::-1]
        assert (np.abs(view.astype(int) - whole).max(axis=2) < 12).mean() > 0.9
    assert kinds == {0, 1}


def test_a_share_of_the_moved_pictures_is_sharp():
    plain = PhotometricSettings(colour=0, grey=0, enlarge=0, blur=0, noise=0, jpeg=0)
    soft, sharp = (
        views_of(composites=0.0, negatives=0.0, sharp=share, photometric=plain)
        for share in (0.0, 1.0)
    )
    detail = [
        np.mean([cv2.Laplacian(views[index][0], cv2.CV_32F).std() for index in range(12)])
        for views in (soft, sharp)
    ]
    assert detail[0] < detail[1]


def test_displaced_labels_are_corrected_in_every_view():
    image, labels = draw_face()
    labels = np.roll(labels, (6, 6), (0, 1))
    gaps: dict[float, list[float]] = {0.0: [], 6.0: []}
    for offset, measured in gaps.items():
        views = FaceViews(
            [Sample(name="a", image=image, labels=labels, label_offset=offset)],
            [np.full((120, 160, 3), 90, np.uint8)],
            label_set=HELEN,
            settings=SceneSettings(
                composites=0.0,
                negatives=0.0,
                occluded=0.0,
                photometric=PLAIN,
                degrees=90,
                as_is=0.3,
            ),
            seed=0,
        )
        for index in range(30):
            view, target = views[index]
            yellow = np.abs(view.astype(int) - HELEN.colours[6]).max(axis=2) < 40
            if (target == 6).sum() > 300:
                measured.append(np.nonzero(target == 6)[0].mean() - np.nonzero(yellow)[0].mean())
    assert np.abs(gaps[6.0]).max() < 1.2
    assert np.mean(gaps[6.0]) == pytest.approx(0, abs=0.4)
    assert np.abs(gaps[0.0]).max() > 3


@pytest.mark.parametrize(
    "shares",
    [
        {"composites": 1.0, "negatives": 0.0},
        {"composites": 0.0, "negatives": 0.0},
        {"composites": 0.0, "negatives": 0.0, "upside": 1.0},
    ],
)
def test_views_contain_known_ids_in_the_right_colours(shares: dict[str, float]):
    views = views_of(occluded=0, **shares)
    faces = 0
    for index in range(30):
        image, labels = views[index]
        assert image.shape == (256, 256, 3)
        assert image.dtype == labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {*range(11), 255}
        faces += int((labels == 1).any())
        if (labels == 6).sum() > 400 and shares["composites"] == 0:
            # the nose is yellow wherever the labels have a nose
            colour = np.median(image[labels == 6], axis=0)
            np.testing.assert_allclose(colour, HELEN.colours[6], atol=3)
    assert faces >= 25


def test_a_mirrored_picture_is_centred_on_the_same_head():
    image, labels = draw_face(dx=60)
    views = FaceViews(
        [Sample(name="a", image=image, labels=labels)],
        [np.zeros((64, 64, 3), np.uint8)],
        label_set=HELEN,
        settings=SceneSettings(composites=0, negatives=0, photometric=PLAIN, degrees=0),
        seed=0,
    )
    places = []
    for index in range(30):
        _, target = views._placed(
            image,
            labels,
            np.random.default_rng(index),
            centre=(188, 128),
            scale=0.6,
            label_offset=0,
        )
        places.append(np.nonzero(target == 6)[1].mean() - 128)
    # at most 13% of the view from its centre, and 8 degrees of roll
    assert max(np.abs(places)) < 0.13 * 256 + 8


def test_negatives_contain_no_face():
    views = views_of(composites=0, negatives=1)
    assert all(set(np.unique(views[index][1])) <= {0, 255} for index in range(20))


def test_small_heads_have_the_configured_size():
    views = views_of(composites=1, negatives=0, smallest_head=20, largest_head=30, occluded=0)
    tallest = []
    for index in range(20):
        rows = np.nonzero((views[index][1] == 1).any(1))[0]
        if rows.size and (views[index][1] == 6).any():
            pixels = (views[index][1] == 6).sum()
            tallest.append(pixels)
    assert tallest
    # the nose is 1.9% of the head box's square; up to four heads of 30 pixels
    assert max(tallest) < 4 * 0.04 * 30 * 30


def test_an_unlabelled_head_is_ignored_in_composites_and_background_alone():
    image, labels = draw_face()
    other = np.zeros(labels.shape, bool)
    other[:, :30] = True
    head = head_of(Sample(name="a", image=image, labels=labels), HELEN, others=other)
    assert head is not None
    assert (head.composed[other] == 255).all()
    assert (head.labels[other] == 0).all()
    np.testing.assert_array_equal(head.composed[~other], labels[~other])


def test_partial_pictures_keep_their_sets():
    image, labels = draw_face()
    coarse = np.where(labels == 1, np.uint8(FIRST_SET), labels)
    views = FaceViews(
        [Sample(name="a", image=image, labels=labels)],
        [np.zeros((64, 64, 3), np.uint8)],
        label_set=HELEN,
        settings=SceneSettings(composites=0, negatives=0, partial=1, photometric=PLAIN),
        seed=0,
        partial=[Sample(name="p", image=image, labels=coarse)],
    )
    _, target = views[0]
    assert (target == FIRST_SET).any()
    assert not (target == 1).any()


def test_bad_settings_are_rejected():
    with pytest.raises(SettingError, match="shares"):
        SceneSettings(composites=0.8, negatives=0.3)
    with pytest.raises(SettingError, match="scales"):
        SceneSettings(scale_min=2, scale_max=1)
    streets = LabelSet(name="streets", names=("road", "car"), colours=((0, 0, 0), (1, 1, 1)))
    with pytest.raises(SettingError, match="does not define a face"):
        FaceViews([], [], label_set=streets, settings=SceneSettings(), seed=0)


def test_bodies_are_labelled_as_neck_and_clothes_if_the_set_has_them():
    image, labels = draw_face()
    shown: set[int] = set()
    for label_set in (HELEN, FACE_PARTS):
        views = FaceViews(
            [Sample(name="a", image=image, labels=labels)],
            [np.full((120, 160, 3), 90, np.uint8)],
            label_set=label_set,
            settings=SceneSettings(composites=1.0, negatives=0.0, occluded=0, photometric=PLAIN),
            seed=1,
        )
        shown = {int(i) for index in range(30) for i in np.unique(views[index][1])}
        assert ({17, 18} <= shown) == (label_set is FACE_PARTS)


def test_a_rare_picture_is_drawn_more_often():
    image, labels = draw_face()
    views = FaceViews(
        [Sample(name=name, image=image, labels=labels) for name in "abc"],
        [np.zeros((64, 64, 3), np.uint8)],
        label_set=HELEN,
        settings=SceneSettings(),
        seed=0,
        shares=[1.0, 6.0, 1.0],
    )
    rng = np.random.default_rng(0)
    drawn = [views.composer.heads.index(views.composer.any_head(rng)) for _ in range(400)]
    assert np.bincount(drawn, minlength=3) / 400 == pytest.approx([0.125, 0.75, 0.125], abs=0.06)

"""Soft masks agree with the labels and with each other."""

import cv2
import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.frames import Segmentation
from rtseg.geometry.crop import Crop, box_around
from rtseg.geometry.resample import grid_positions, interpolate
from rtseg.labels import HELEN
from rtseg.postprocess import paste
from rtseg.postprocess.soft_masks import CropProbabilities, SoftMasks, _share
from tests.support.painted import paint

HEIGHT, WIDTH = 240, 320
GROUPS = [("hair",), ("lips",), ("skin",), ("face",), ("brows", "eyes"), ("hair", "face"), ("all",)]


def head_map(seed=0, cells=64, doubt=0.25):
    """Class probabilities of a head that fills its crop, unsure at borders as networks are."""
    labels = np.zeros((256, 256), np.uint8)
    paint(labels, 128, 128, 165)
    shares = np.eye(len(HELEN), dtype=np.float32)[labels]
    shares = cv2.resize(shares, (cells, cells), interpolation=cv2.INTER_AREA)
    shares = np.asarray(cv2.GaussianBlur(shares, (0, 0), 0.8)) + 1e-4
    noise = np.random.default_rng(seed).random(shares.shape, np.float32)
    shares *= 1 - doubt * noise
    return (shares / shares.sum(2, keepdims=True)).astype(np.float32)


def crop_at(x, y, side, roll_degrees=0.0):
    return Crop(box=box_around(x, y, side, side), roll_degrees=roll_degrees)


def segmentation(*crops, background=0):
    """As the segmenter makes one: labels of each crop, a later one over an earlier one."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for part in crops:
        paste(labels, part.probabilities, part.crop, transparent=background)
    soft = SoftMasks(crops, labels=labels, background=background)
    return Segmentation(labels=labels, label_set=HELEN, soft=soft)


def one_face(roll_degrees=0.0, **options):
    crop = crop_at(160.5, 120, 200, roll_degrees)
    return CropProbabilities(probabilities=head_map(**options), crop=crop, track_id=1)


def steepest(alpha):
    return max(np.abs(np.diff(alpha, axis=0)).max(), np.abs(np.diff(alpha, axis=1)).max())


@pytest.mark.parametrize("names", GROUPS)
@pytest.mark.parametrize("roll_degrees", [0.0, 33.0])
def test_a_soft_mask_never_contradicts_the_labels(names, roll_degrees):
    result = segmentation(one_face(roll_degrees, doubt=0.9))
    alpha, mask = result.alpha(*names), result.mask(*names)
    assert alpha.dtype == np.float32
    assert alpha.shape == (HEIGHT, WIDTH)
    assert mask.any()
    assert mask[alpha > 0.5].all()
    assert (alpha[mask] >= 0.5).all()
    assert 0 <= alpha.min() <= alpha.max() <= 1 + 1e-5


def test_a_group_larger_than_the_leading_class_has_half_of_a_cell_that_it_does_not_lead():
    shares = np.full((4, 4, len(HELEN)), 0.0, np.float32)
    skin, (upper, lower) = HELEN.skin[0], HELEN.lips
    shares[:, :, [skin, upper, lower]] = 0.4, 0.3, 0.3
    np.testing.assert_array_equal(_share(shares, (upper, lower)), np.full((4, 4), 0.5))
    np.testing.assert_allclose(_share(shares, (upper,)), 0.3, atol=1e-6)
    np.testing.assert_array_equal(_share(shares, (skin,)), np.full((4, 4), 0.5))


@pytest.mark.parametrize("names", GROUPS)
@pytest.mark.parametrize("roll_degrees", [0.0, 33.0])
def test_edges_are_ramps(names, roll_degrees):
    part = one_face(roll_degrees)
    result = segmentation(part)
    alpha, mask = result.alpha(*names), result.mask(*names)
    edge = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    # what lies at an edge is neither all nor nothing
    assert ((alpha[edge] > 0.02) & (alpha[edge] < 0.98)).mean() > 0.98
    # a cell is three pixels wide, so a full step takes three of them; where three classes meet,
    # the labels' side is kept at the price of a somewhat steeper one
    assert steepest(alpha) < 0.55
    steps = np.abs(np.diff(alpha, axis=1))
    assert (steps > 0.4).sum() <= 6


def test_a_single_class_is_its_interpolated_probability():
    part = one_face()
    alpha = segmentation(part).alpha("hair")
    box = part.crop.box
    rows = grid_positions(0, HEIGHT, origin=box.top, extent=200, cells=64)
    columns = grid_positions(0, WIDTH, origin=box.left, extent=200, cells=64)
    expected = interpolate(part.probabilities[:, :, 10:], rows, columns)[:, :, 0]
    inside = np.s_[25:215, 65:255]
    off = np.abs(alpha - expected)[inside]
    # OpenCV interpolates between 32 steps a cell; cells with next to nothing count as nothing
    assert np.percentile(off, 99) < 0.02


def test_groups_that_cover_everything_sum_to_one():
    result = segmentation(one_face(25.0))
    total = result.alpha("background") + result.alpha("all")
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert result.alpha("background")[0, 0] == 1


def test_no_seam_shows_between_two_classes_of_a_group():
    probabilities = np.zeros((16, 16, len(HELEN)), np.float32)
    probabilities[:8, :, 7] = 1  # the upper lip over the lower one
    probabilities[8:, :, 9] = 1
    whole = Crop(box=box_around(160, 120, WIDTH, HEIGHT))
    part = CropProbabilities(probabilities=probabilities, crop=whole, track_id=0)
    np.testing.assert_allclose(segmentation(part).alpha("lips"), 1, atol=1e-6)


def test_a_face_in_front_covers_the_one_behind():
    behind = CropProbabilities(probabilities=head_map(1), crop=crop_at(130, 120, 200), track_id=1)
    before = CropProbabilities(
        probabilities=head_map(2), crop=crop_at(200, 120, 220, 20.0), track_id=2
    )
    result = segmentation(behind, before)
    for names in GROUPS:
        alpha, mask = result.alpha(*names), result.mask(*names)
        assert mask[alpha > 0.5].all()
        assert (alpha[mask] >= 0.5).all()
        assert alpha.max() <= 1 + 1e-5
    shares = result.soft_masks.by_face(HELEN.select(["hair"]))
    assert [share.track_id for share in shares] == [1, 2]
    total = np.zeros((HEIGHT, WIDTH), np.float32)
    for share in shares:
        total[share.region] += share.alpha
    held = np.abs(total - result.alpha("hair")) > 1e-5
    assert held.mean() < 0.01
    # what lies behind the other's face is covered by it
    alone = segmentation(behind).soft_masks.by_face(HELEN.select(["hair"]))[0]
    hidden = result.mask("face")[alone.region] & (alone.alpha > 0.9)
    assert hidden.any()
    assert shares[0].alpha[hidden].mean() < 0.1


def test_the_crops_of_one_face_are_merged():
    wide = CropProbabilities(
        probabilities=head_map(1), crop=crop_at(160.5, 120, 200, 10.0), track_id=1
    )
    near = CropProbabilities(probabilities=head_map(2), crop=crop_at(160.5, 112, 120), track_id=1)
    result = segmentation(wide, near)
    (share,) = result.soft_masks.by_face(HELEN.select(["hair"]))
    total = np.zeros((HEIGHT, WIDTH), np.float32)
    total[share.region] = share.alpha
    off = np.abs(total - result.alpha("hair"))
    assert (off > 1e-5).mean() < 0.01  # but where it is held on the labels' side
    assert share.alpha.max() <= 1 + 1e-5


def test_hair_cut_off_by_a_crop_fades_out_at_its_edge():
    probabilities = np.zeros((16, 16, len(HELEN)), np.float32)
    probabilities[:, :, 10] = 1
    part = CropProbabilities(probabilities=probabilities, crop=crop_at(160, 120, 128), track_id=1)
    alpha = segmentation(part).alpha("hair")
    assert alpha[120, 160] == 1
    assert alpha[:, :80].max() == 0
    assert steepest(alpha) < 0.3  # at the corners; .125 along the sides
    assert steepest(alpha[80:160]) < 0.15


def test_a_block_fades_alike_on_all_four_sides():
    probabilities = np.zeros((16, 16, len(HELEN)), np.float32)
    probabilities[..., 0] = 1
    probabilities[5:11, 5:11] = np.eye(len(HELEN))[10]
    crop = crop_at(160, 120, 128)
    part = CropProbabilities(probabilities=probabilities, crop=crop, track_id=1)
    alpha = segmentation(part).alpha("hair")[56:184, 96:224]
    for mirrored in (alpha[::-1], alpha[:, ::-1], alpha.T):
        np.testing.assert_allclose(alpha, mirrored, atol=0.01)
    assert alpha[64, 64] == 1
    assert steepest(alpha) < 0.15, "a cell is eight pixels wide"


@pytest.mark.parametrize(("x", "y"), [(600, 120), (-300, 120), (160, 500), (160, -300)])
@pytest.mark.parametrize("roll_degrees", [0.0, 30.0])
def test_a_crop_beyond_the_frame_has_no_share(x, y, roll_degrees):
    """A face that has just left: on one axis its crop is level with the frame."""
    part = CropProbabilities(
        probabilities=head_map(), crop=crop_at(x, y, 200, roll_degrees), track_id=1
    )
    result = segmentation(part)
    assert result.alpha("hair", "face").max() == 0
    assert result.soft_masks.by_face(HELEN.select(["hair"])) == []


def test_filled_holes_have_full_shares():
    part = one_face()
    filled = part.probabilities.copy()
    filled[10:14, 30:34] = 0
    filled[10:14, 30:34, 10] = 0.3  # as where the background was taken out
    alpha = segmentation(CropProbabilities(probabilities=filled, crop=part.crop, track_id=1)).alpha(
        "hair"
    )
    left, top = part.crop.box.left, part.crop.box.top
    assert alpha[int(top + 12 * 200 / 64), int(left + 32 * 200 / 64)] > 0.95


def test_a_whole_frame_does_not_fade_at_its_edges():
    probabilities = np.zeros((16, 16, len(HELEN)), np.float32)
    probabilities[:, :, 1] = 1
    whole = Crop(box=box_around(160, 120, WIDTH, HEIGHT))
    part = CropProbabilities(probabilities=probabilities, crop=whole, track_id=0)
    result = segmentation(part)
    assert result.alpha("skin").min() == 1
    assert result.alpha("background").max() == 0


def test_without_a_face_everything_is_background():
    result = segmentation()
    assert result.alpha("background").min() == 1
    assert result.alpha("hair", "face").max() == 0


def test_a_result_without_soft_masks_says_what_to_do():
    result = Segmentation(labels=np.zeros((4, 4), np.uint8), label_set=HELEN)
    with pytest.raises(SettingError, match="soft=True"):
        result.alpha("hair")
    with pytest.raises(SettingError, match="unknown class"):
        segmentation(one_face()).alpha("beard")

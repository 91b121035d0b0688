"""Borders without teeth, where a map put together from four coarser ones hesitates."""

import cv2
import numpy as np
import pytest

from rtseg.labels import HELEN
from rtseg.postprocess import leading_classes
from rtseg.postprocess.checkerboard import is_pixel_shuffled, remove_checkerboard
from rtseg.segmenter import Segmenter
from rtseg.settings import FaceSettings
from tests.support.painted import COLOURS, PaintedBackend, frame, model, paint

HAIR = HELEN.hair[0]
CLASSES = 4
FINE = model(architecture="lite-pyramid", stride=2)


def quarters(rows, columns, *, by):
    """What the four coarser maps add to one class, cell by cell."""
    return np.tile(np.array(by, np.float32), (rows // 2, columns // 2))


def hesitating(*, size=64, by=((0.12, -0.05), (-0.1, 0.04))):
    """Class 1 on the left, 0 on the right, with a wide doubtful band between them."""
    share = np.clip(0.5 + (size / 2 - 0.5 - np.arange(size)) / 40, 0, 1)
    share = np.tile(share.astype(np.float32), (size, 1))
    doubt = 1 - np.abs(2 * share - 1)
    share = share + doubt * quarters(size, size, by=by)
    probabilities = np.zeros((size, size, CLASSES), np.float32)
    probabilities[..., 1], probabilities[..., 0] = share, 1 - share
    return probabilities


def alone(labels):
    """Cells or pixels unlike both of their neighbours in a row or in a column."""
    across = (labels[:, 1:-1] != labels[:, :-2]) & (labels[:, 1:-1] != labels[:, 2:])
    down = (labels[1:-1] != labels[:-2]) & (labels[1:-1] != labels[2:])
    return np.count_nonzero(across) + np.count_nonzero(down)


@pytest.mark.parametrize(
    "by",
    [
        ((0.1, 0.1), (-0.1, -0.1)),  # teeth, row by row
        ((0.1, -0.1), (0.1, -0.1)),  # column by column
        ((0.1, -0.1), (-0.1, 0.1)),  # a chessboard
        ((0.2, -0.05), (-0.1, -0.05)),  # one quarter of its own
    ],
)
def test_a_doubtful_border_becomes_a_straight_line(by):
    jagged = hesitating(by=by)
    assert alone(leading_classes(jagged)) > 50
    leaders = leading_classes(remove_checkerboard(jagged, FINE))
    assert alone(leaders) == 0
    borders = np.count_nonzero(leaders == 1, axis=1)
    assert np.ptp(borders) <= 1
    assert abs(float(borders.mean()) - 32) <= 1


def test_sure_labels_stay_where_they_are():
    labels = np.zeros((64, 64), np.uint8)
    cv2.circle(labels, (32, 32), 20, 1, -1)
    labels[30:34, 20:44] = 2  # no wider than a lip
    sure = np.eye(CLASSES, dtype=np.float32)[labels]
    kept = sure.copy()
    leaders = leading_classes(remove_checkerboard(sure, FINE))
    assert (sure == kept).all()
    assert np.count_nonzero(leaders != labels) <= 12
    assert (leaders[30:34, 21:43] == 2).all()


def test_shares_still_sum_to_one():
    assert np.allclose(remove_checkerboard(hesitating(), FINE).sum(2), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "stride"),
    [
        ("residual-pyramid", 4),  # without its fine head
        ("lite-pyramid", 4),
        ("unet", 1),
        ("deeplab-cut", 4),
        ("somebody's", 2),  # of the same size, but each cell is computed in the same way
    ],
)
def test_other_maps_are_left_alone(architecture, stride):
    jagged = hesitating()
    assert remove_checkerboard(jagged, model(architecture=architecture, stride=stride)) is jagged


def test_every_network_with_a_fine_head_is_known():
    torch = pytest.importorskip("torch")
    from rtseg.models import ARCHITECTURES, build_model
    from rtseg.models.pyramid import PyramidNet

    pyramids = [
        name
        for name, make in ARCHITECTURES.items()
        if isinstance(make, type) and issubclass(make, PyramidNet)
    ]
    assert pyramids
    for name in pyramids:
        for fine in (0, 8):
            with torch.device("meta"):
                net = build_model(name, classes=CLASSES, options={"fine": fine})
            assert is_pixel_shuffled(model(architecture=name, stride=net.stride)) is bool(fine)


class _Hesitant(PaintedBackend):
    """Confuses hair and background a little, each quarter of its map in its own way."""

    def infer(self, crops):
        maps = super().infer(crops)
        background, hair = maps[..., HELEN.background], maps[..., HAIR]
        for at in (background, hair):
            for one in at:
                one[...] = cv2.blur(one, (9, 9))
        doubt = 1.6 * np.minimum(background, hair)
        rows, columns = maps.shape[1:3]
        change = doubt * quarters(rows, columns, by=((0.3, -0.3), (-0.2, 0.2)))
        background -= change
        hair += change
        return maps


@pytest.mark.parametrize("streamed", [False, True])
def test_hair_has_no_teeth_within_its_crop_and_beyond(streamed):
    truth = np.zeros((480, 640), np.uint8)
    cv2.rectangle(truth, (280, 120), (360, 430), HAIR, -1)
    paint(truth, 320, 120, 90)
    segmenter = Segmenter(
        backend=_Hesitant(architecture="lite-pyramid", stride=2),
        faces=FaceSettings(smoothing=0.5 if streamed else 0.0),
    )
    picture = COLOURS[truth]
    if streamed:
        for index in range(4):
            labels = segmenter(frame(picture, index)).labels
    else:
        labels = segmenter(picture).labels
    hair = labels == HAIR
    assert hair[420, 320]
    left, right = hair[180:420].argmax(1), 639 - hair[180:420, ::-1].argmax(1)
    for border in (left, right):
        # along a straight side, the border moves only where one map ends and the next begins
        assert np.abs(np.diff(border)).max() <= 3
        assert np.count_nonzero(np.diff(border)) <= 12

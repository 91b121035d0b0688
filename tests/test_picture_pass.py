"""Crops of stills that reach beyond the picture."""

import numpy as np
import pytest

from rtseg import picture_pass
from rtseg.geometry.fit import PADDING
from rtseg.segmenter import Segmenter
from rtseg.settings import FaceSettings
from tests.support.painted import PaintedBackend, frame, scene


@pytest.mark.parametrize("streamed", [False, True])
def test_a_portrait_is_labelled_in_a_crop_of_its_size(monkeypatch, streamed):
    image, truth = scene(200, 200, (100, 105, 190))
    crops, cut = [], picture_pass.cut

    def noting(picture, crop, *, out):
        crops.append(crop)
        cut(picture, crop, out=out)

    monkeypatch.setattr(picture_pass, "cut", noting)
    segmenter = Segmenter(
        backend=PaintedBackend(input_height=256, input_width=256),
        faces=FaceSettings(smoothing=0.0),
    )
    result = segmenter(frame(image, 0) if streamed else image)
    assert len(result.faces) == 1
    # in a stream, the crops are those by which the face is followed
    assert (crops[-1].box.height > 220) is streamed
    assert np.mean(result.labels == truth) > 0.98


class SeesBackend(PaintedBackend):
    """Keeps the greatest range of grey levels that it has been shown."""

    most = 0

    def infer(self, crops):
        self.most = max(self.most, *(int(np.ptp(crop)) for crop in crops))
        return super().infer(crops)


@pytest.mark.parametrize("as_still", [True, False])
def test_a_network_sees_a_dark_face_as_in_good_light(as_still):
    image, _ = scene(240, 320, (160, 120, 120))
    dark = image // 8
    backend = SeesBackend(input_height=256, input_width=256)
    segmenter = Segmenter(backend=backend)
    result = segmenter(dark if as_still else frame(dark, 0))
    assert dark.max() < 32
    assert backend.most > 200
    if as_still:
        assert np.array_equal(result.image, dark)
        backend.most = 0
        segmenter([dark, dark])
        assert backend.most > 200


def test_a_network_that_sees_whole_frames_sees_them_as_they_are():
    image, _ = scene(240, 320, (160, 120, 120))
    backend = SeesBackend(view="frame", input_height=64, input_width=128)
    Segmenter(backend=backend)(image // 8)
    assert backend.most <= PADDING


def test_labels_are_averaged_over_time_by_what_the_camera_saw(monkeypatch):
    seen = []
    averaged = picture_pass.TrackSmoother.__call__

    def noting(self, probabilities, *, picture, crop, seconds):
        seen.append(picture.max())
        return averaged(self, probabilities, picture=picture, crop=crop, seconds=seconds)

    monkeypatch.setattr(picture_pass.TrackSmoother, "__call__", noting)
    image, _ = scene(240, 320, (160, 120, 120))
    dark = image // 2  # the nearest colours are still those of the face, as shown and as seen
    backend = SeesBackend(input_height=256, input_width=256)
    segmenter = Segmenter(backend=backend)
    for index in range(3):
        assert segmenter(frame(dark, index)).faces
    assert backend.most > 200
    assert seen
    assert max(seen) <= 128

"""Crops of stills that reach beyond the picture."""

import numpy as np
import pytest

from rtseg import picture_pass
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

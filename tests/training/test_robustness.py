"""Composed frames, and what is measured on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rtseg.frames import Image, LabelMap
from rtseg.labels import HELEN
from training import robustness


def test_frames_hold_one_head_of_the_height_asked_for(toy_data: Path):
    for share in (0.2, 0.8):
        for scene in robustness.face_scenes(toy_data, share=share, count=2):
            assert scene.image.shape == (720, 1280, 3)
            assert scene.labels.shape == (720, 1280)
            head = np.nonzero((scene.labels > 0).any(1))[0]
            # a roll of 20 degrees and a stretch of 1.2 change the upright height
            assert np.ptp(head) == pytest.approx(share * 720, rel=0.3)


def test_the_crop_holds_the_head_and_the_frame_view_the_whole(toy_data: Path):
    (scene,) = robustness.face_scenes(toy_data, share=0.3, count=1)
    image, labels = robustness.crop_view(scene)
    assert image.shape == (256, 256, 3)
    assert (labels == 6).sum() > 100
    image, labels = robustness.frame_view(scene)
    assert (labels[:56] == 255).all()
    assert (labels[56:200] != 255).all()


def test_a_blind_net_and_a_net_that_paints_everything_are_told_apart(toy_data: Path):
    def blind(images: Sequence[Image]) -> list[LabelMap]:
        return [np.zeros(image.shape[:2], np.uint8) for image in images]

    def painter(images: Sequence[Image]) -> list[LabelMap]:
        return [np.full(image.shape[:2], HELEN.face[0], np.uint8) for image in images]

    nothing = robustness.measure(blind, toy_data, count=2)
    assert nothing["empty"]["frame"]["largest"] == 0
    assert nothing["crop"]["80%"]["face"] == 0
    assert nothing["crop"]["80%"]["found"] == 0
    everything = robustness.measure(painter, toy_data, count=2)
    assert everything["empty"]["crop"]["median"] == 100
    assert 0 < everything["crop"]["80%"]["face"] < 1
    assert everything["crop"]["80%"]["found"] == 1

"""Soft masks as data: what is read back equals the soft mask, to a step of its bits."""

import json
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from rtseg.errors import OutputExistsError, SettingError
from rtseg.frames import Frame
from rtseg.sinks.labels.alpha import CLASSES_TAG, open_alpha_sink
from tests.effects.portrait import HEIGHT, WIDTH, portrait
from tests.sinks.drawn import info


def write_run(sink, count=4, *, outcome="finished"):
    """A run with a moving head, and the soft masks of its hair."""
    sink.open(info(width=WIDTH, height=HEIGHT), width=WIDTH, height=HEIGHT)
    alphas = []
    for index in range(count):
        image, result = portrait((180 + 7 * index, 150, 190))
        frame = Frame(image=image, index=index, pts=index, time_base=Fraction(1, 30))
        sink.write(frame, result, None)
        alphas.append(result.alpha("hair"))
    sink.close(outcome)
    return alphas


@pytest.mark.parametrize("bits", [8, 16])
def test_a_video_contains_every_mask_at_its_time(tmp_path, bits):
    path = tmp_path / "hair.mkv"
    sink = open_alpha_sink(str(path), classes=["hair"], bits=bits)
    assert not sink.wants_pixels
    alphas = write_run(sink)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "ffv1"
        assert json.loads(container.metadata[CLASSES_TAG]) == ["hair"]
        kind = "gray" if bits == 8 else "gray16le"
        read = [(float(p.time), p.to_ndarray(format=kind)) for p in container.decode(video=0)]
    assert [round(seconds, 2) for seconds, _ in read] == [0.0, 0.03, 0.07, 0.1]
    full = 255 if bits == 8 else 65535
    for (_, plane), alpha in zip(read, alphas, strict=True):
        assert np.abs(plane / full - alpha).max() <= 0.51 / full + 1e-6
        assert len(np.unique(plane)) > 50  # soft, not two levels


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("output", ["hair", "hair/%04d.png"])
def test_pictures_contain_every_mask(tmp_path, output, bits):
    alphas = write_run(open_alpha_sink(str(tmp_path / output), classes=["hair"], bits=bits))
    files = sorted((tmp_path / "hair").glob("*.png"))
    assert len(files) == 4
    for path, alpha in zip(files, alphas, strict=True):
        plane = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert plane.dtype == (np.uint8 if bits == 8 else np.uint16)
        assert plane.ndim == 2
        assert np.abs(plane / (255 if bits == 8 else 65535) - alpha).max() < 0.003


def test_formats_that_cannot_hold_masks_are_refused(tmp_path):
    for output in ("hair.mp4", "hair.png", "hair.npz"):
        with pytest.raises(SettingError, match=r"allowed: |give a folder"):
            open_alpha_sink(str(tmp_path / output), classes=["hair"])
    with pytest.raises(SettingError, match="allowed: 8, 16"):
        open_alpha_sink(str(tmp_path / "a.mkv"), classes=["hair"], bits=12)
    (tmp_path / "a.mkv").write_text("mine")
    with pytest.raises(OutputExistsError):
        write_run(open_alpha_sink(str(tmp_path / "a.mkv"), classes=["hair"]))
    assert (tmp_path / "a.mkv").read_text() == "mine"


def test_labels_without_soft_masks_are_refused(tmp_path):
    sink = open_alpha_sink(str(tmp_path / "a.mkv"), classes=["hair"])
    image, result = portrait()
    sink.open(info(width=WIDTH, height=HEIGHT), width=WIDTH, height=HEIGHT)
    frame = Frame(image=image, index=0, pts=0, time_base=Fraction(1, 30))
    with pytest.raises(SettingError, match="soft=True"):
        sink.write(frame, replace(result, soft=None), None)
    sink.close("failed")
    assert not list(tmp_path.iterdir())

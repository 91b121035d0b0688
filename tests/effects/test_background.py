"""Another background behind a head: a colour, a blur, a picture."""

import numpy as np
import pytest
from PIL import Image

from rtseg.effects import replace_background
from rtseg.errors import SettingError, SourceError
from tests.effects.portrait import core, portrait


def test_a_colour_appears_behind_the_head_only():
    image, result = portrait()
    made = replace_background(image, result, "#00ff00")
    head, behind = core(result, "all"), result.alpha("background") > 0.99
    assert (made[head] == image[head]).all()
    assert (made[behind] == (0, 255, 0)).all()
    # the soft edge contains some of both
    between = (result.alpha("all") > 0.4) & (result.alpha("all") < 0.6)
    mixed = (made[between] != image[between]).any(1) & (made[between] != (0, 255, 0)).any(1)
    assert mixed.mean() > 0.95


def test_a_blur_removes_detail_without_colour_from_the_head():
    # a red head in front of a grey wall with stripes
    image, result = portrait(colours=dict.fromkeys(range(1, 11), (230, 20, 20)), grain=0.0)
    wall = result.alpha("background") > 0.99
    stripes = np.where(np.arange(image.shape[1]) % 8 < 4, 70, 130).astype(np.uint8)
    image[wall] = np.broadcast_to(stripes[None, :, None], image.shape)[wall]
    made = replace_background(image, result, "blur:10")
    assert made[wall].std() < 0.35 * image[wall].std()
    redness = made[..., 0].astype(int) - made[..., 1]
    assert np.percentile(redness[wall], 99) < 25
    assert (made[core(result, "all")] == image[core(result, "all")]).all()


def test_a_picture_fills_the_background(tmp_path):
    image, result = portrait()
    photo = np.zeros((90, 60, 3), np.uint8)
    photo[:45], photo[45:] = (10, 20, 200), (200, 20, 10)
    Image.fromarray(photo).save(tmp_path / "beach.png")
    made = replace_background(image, result, str(tmp_path / "beach.png"))
    assert (made[5, [0, 200, 399]] == (10, 20, 200)).all()
    assert (made[-5, [0, 399]] == (200, 20, 10)).all()
    assert (made[core(result, "all")] == image[core(result, "all")]).all()


def test_without_a_face_everything_is_background():
    image, _ = portrait()
    from rtseg.frames import Segmentation
    from rtseg.labels import HELEN
    from rtseg.postprocess.soft_masks import SoftMasks

    labels = np.zeros(image.shape[:2], np.uint8)
    soft = SoftMasks([], labels=labels, background=0)
    empty = Segmentation(labels=labels, label_set=HELEN, soft=soft)
    assert (replace_background(image, empty, "#102030") == (16, 32, 48)).all()
    assert replace_background(image, empty, "blur:5").std() < image.std()


def test_a_background_file_that_is_no_picture_is_refused(tmp_path):
    image, result = portrait()
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(SourceError, match=r"notes\.jpg"):
        replace_background(image, result, str(tmp_path / "notes.jpg"))
    with pytest.raises(SettingError, match="neither a colour nor an existing file"):
        replace_background(image, result, str(tmp_path / "nowhere.jpg"))

"""Stills given as paths, arrays or Pillow pictures."""

import numpy as np
import pytest
from PIL import Image

from rtseg.errors import ModelError, SettingError, SourceError
from rtseg.segmenter import Segmenter
from rtseg.settings import FaceSettings
from rtseg.sources.pictures import as_image
from rtseg.weights import default_checkpoint_path, model_path, shipped_models
from tests.support.painted import PaintedBackend, scene


@pytest.fixture
def picture():
    return scene(180, 320, (160, 90, 120))[0]


def test_paths_urls_home_folders_and_pillow_pictures_give_the_same(picture, tmp_path, monkeypatch):
    path = tmp_path / "a photo.png"
    Image.fromarray(picture).save(path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for still in (
        picture,
        path,
        str(path),
        path.as_uri(),
        "~/a photo.png",
        Image.fromarray(picture),
        Image.open(path),
    ):
        assert (as_image(still) == picture).all()


def test_orientation_and_palettes_are_applied(picture):
    turned = Image.fromarray(picture).rotate(90, expand=True)
    turned.getexif()[274] = 6  # displayed rotated clockwise
    assert (as_image(turned) == picture).all()
    grey = Image.fromarray(picture).convert("L")
    assert as_image(grey).shape == picture.shape


def test_only_bgr_is_reordered(picture):
    assert (as_image(picture[..., ::-1], channels="bgr") == picture).all()
    with pytest.raises(SettingError, match="allowed: rgb, bgr"):
        as_image(picture, channels="BGR")


@pytest.mark.parametrize("still", [None, 3, {"a": 1}, "https://example.org/a.jpg"])
def test_anything_but_a_still_is_refused(still):
    with pytest.raises(SettingError, match="a still is"):
        as_image(still)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"nothing\.jpg"):
        as_image(tmp_path / "nothing.jpg")


def test_a_segmenter_accepts_them_all_alone_and_in_lists(picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "a.png")
    segmenter = Segmenter(backend=PaintedBackend())
    expected = segmenter(picture)
    assert expected.faces
    assert expected.image is picture
    bgr = np.ascontiguousarray(picture[..., ::-1])
    results = segmenter([tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(picture)])
    for result in (*results, segmenter(tmp_path / "a.png"), segmenter(bgr, channels="bgr")):
        assert (result.labels == expected.labels).all()
        assert (result.image == picture).all()
    assert segmenter([]) == []
    # interpreted as RGB, it is another picture
    assert (segmenter(bgr).labels != expected.labels).any()


def test_face_settings_have_shortcuts():
    backend = PaintedBackend()
    assert Segmenter(backend=backend, max_faces=1).faces == FaceSettings(max_faces=1)
    both = Segmenter(backend=backend, faces=FaceSettings(detect_every=5), smoothing=0.0)
    assert both.faces == FaceSettings(detect_every=5, smoothing=0.0)
    with pytest.raises(SettingError, match="max"):
        Segmenter(backend=backend, max_faces=0)


def test_a_shipped_model_is_found_by_name(tmp_path):
    assert "face-parts" in shipped_models()
    assert model_path("face-parts") == default_checkpoint_path()
    assert model_path("models/other.safetensors").name == "other.safetensors"
    with pytest.raises(ModelError, match=r"allowed: .*face-parts"):
        model_path("face-part")
    with pytest.raises(ModelError, match="face-part: there is no such model"):
        Segmenter("face-part")
    with Segmenter("face-parts", backend="torch", device="cpu") as segmenter:
        assert segmenter.label_set.name == "face-parts"

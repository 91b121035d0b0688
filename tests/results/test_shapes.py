"""Conversions of a segmentation to other formats."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as pycoco

from rtseg.errors import SettingError, SinkError
from rtseg.frames import Box, Face, Segmentation
from rtseg.labels import BDD_DRIVABLE, HELEN
from rtseg.results.coco import class_run_lengths
from tests.views.drawn import scene

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools' own

TWO_HEADS = ((0.25, 0.5, 0.5), (0.7, 0.5, 0.6))


def test_a_result_prints_in_one_line():
    _, result = scene()
    text = repr(result)
    assert "\n" not in text
    assert text.startswith("<Segmentation 640x360, 1 face: ")
    assert "hair" in text
    assert "skin" in text
    assert text.endswith("more>")
    empty = Segmentation(labels=np.zeros((4, 6), np.uint8), label_set=HELEN)
    assert repr(empty) == "<Segmentation 6x4, 0 faces: nothing but background>"
    street = Segmentation(labels=np.zeros((4, 6), np.uint8), label_set=BDD_DRIVABLE)
    assert repr(street) == "<Segmentation 6x4, direct 100.0%>"


def test_names_and_boxes_have_common_formats():
    _, result = scene()
    assert result.names[10] == "hair"
    assert list(result.names) == list(range(11))
    box = Box(left=1, top=2, right=30, bottom=40.5)
    assert box.xyxy == (1, 2, 30, 40.5)


def test_each_face_has_its_own_mask():
    frame, result = scene(heads=TWO_HEADS)
    left, right = result.faces
    middle = round(0.475 * frame.width)
    for face, own_side, other in (
        (left, np.s_[:, :middle], np.s_[:, middle:]),
        (right, np.s_[:, middle:], np.s_[:, :middle]),
    ):
        mask = face.mask(result, "hair")
        assert mask.dtype == np.bool_
        assert (mask[own_side] == result.mask("hair")[own_side]).all()
        assert not mask[other].any()
    everything = left.mask(result) | right.mask(result)
    assert (everything == (result.labels > 0)).all()
    assert not (left.mask(result) & right.mask(result)).any()
    with pytest.raises(SettingError, match="unknown class"):
        left.mask(result, "beard")


def test_overlapping_faces_divide_every_pixel():
    _, result = scene(heads=((0.4, 0.5, 0.6), (0.55, 0.5, 0.6)))
    left, right = (face.mask(result, "all") for face in result.faces)
    assert (left ^ right)[result.labels > 0].all()


def test_filled_polygons_equal_the_mask():
    _, result = scene()
    outlines = result.polygons("hair", "face")
    filled = np.zeros(result.labels.shape, np.uint8)
    corners = [np.round(line - 0.5).astype(np.int32) for line in outlines]
    cv2.fillPoly(filled, corners, 1)
    assert ((filled > 0) == (result.labels > 0)).all()
    areas = [cv2.contourArea(line) for line in result.polygons("brows", "eyes", "mouth")]
    assert len(areas) == 5
    assert areas == sorted(areas, reverse=True)
    assert result.polygons("all")[0].dtype == np.float32


RNG = np.random.default_rng(1)
MASKS = [
    np.zeros((5, 7), bool),
    np.ones((5, 7), bool),
    np.eye(40, dtype=bool),
    ~np.eye(40, dtype=bool),
    RNG.random((37, 53)) < 0.5,
    RNG.random((200, 3)) < 0.02,
    np.ones((1, 1), bool),
    scene()[1].mask("hair"),
    scene(1920, 1080)[1].mask("skin"),
    np.pad(np.ones((1, 1), bool), ((0, 1500), (0, 2500))),
    np.pad(np.ones((1, 1), bool), ((1500, 0), (2500, 0))),
]


@pytest.mark.parametrize("mask", MASKS, ids=range(len(MASKS)))
def test_run_lengths_are_byte_equal_to_pycocotools(mask):
    for label_id, made in class_run_lengths(mask.astype(np.uint8)).items():
        is_label = mask == label_id
        reference = pycoco.encode(np.asfortranarray(is_label.astype(np.uint8)))
        assert made["size"] == reference["size"]
        assert made["counts"].encode() == reference["counts"]
        assert (pycoco.decode(made).astype(bool) == is_label).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (37, 53), (200, 3)])
def test_run_lengths_of_all_classes_equal_those_of_each(shape):
    labels = RNG.integers(0, 5, shape).astype(np.uint8)
    labels[: shape[0] // 2] = 3
    made = class_run_lengths(labels)
    assert set(made) == set(np.unique(labels).tolist())
    for label_id, runs in made.items():
        reference = pycoco.encode(np.asfortranarray((labels == label_id).astype(np.uint8)))
        assert runs["counts"].encode() == reference["counts"]


def test_coco_annotations_agree_with_the_labels():
    _, result = scene(heads=TWO_HEADS)
    made = result.to_coco(image_id=7, first_id=40)
    assert json.loads(json.dumps(made)) == made
    assert [a["id"] for a in made] == list(range(40, 40 + len(made)))
    assert {a["image_id"] for a in made} == {7}
    assert {a["track_id"] for a in made} == {1, 2}
    back = np.zeros_like(result.labels)
    for annotation in made:
        mask = pycoco.decode(annotation["segmentation"]).astype(bool)
        back[mask] = annotation["category_id"]
        assert annotation["area"] == mask.sum()
        box = pycoco.toBbox(annotation["segmentation"])
        assert annotation["bbox"] == list(box)
    assert (back == result.labels).all()


def test_a_whole_frame_model_has_one_annotation_per_class():
    _, result = scene(with_faces=False)
    made = result.to_coco()
    assert len(made) == 10
    assert "track_id" not in made[0]


def test_supervision_gets_one_detection_per_class_and_face():
    supervision = pytest.importorskip("supervision")
    frame, result = scene(heads=TWO_HEADS)
    made = result.to_supervision()
    assert len(made) == 20
    assert set(made.tracker_id) == {1, 2}
    assert made.mask.shape == (20, frame.height, frame.width)
    hair = made[made.data["class_name"] == "hair"]
    assert (hair.mask.any(0) == result.mask("hair")).all()
    left, top, width, height = cv2.boundingRect(hair.mask[0].astype(np.uint8))
    assert list(hair.xyxy[0]) == [left, top, left + width, top + height]
    drawn = supervision.MaskAnnotator().annotate(frame.image.copy(), made)
    assert (drawn != frame.image).any()
    empty = Segmentation(labels=np.zeros((4, 6), np.uint8), label_set=HELEN)
    assert len(empty.to_supervision()) == 0
    assert scene(with_faces=False)[1].to_supervision().tracker_id is None


def test_without_supervision_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "supervision", None)
    with pytest.raises(SettingError, match="pip install supervision"):
        scene()[1].to_supervision()


def test_json_is_plain_and_equal_to_the_command_lines():
    _, result = scene()
    made = result.to_json()
    assert json.loads(json.dumps(made)) == made
    assert made["faces"][0]["track"] == 1
    assert made["pixels"]["hair"] == result.mask("hair").sum()
    assert sum(made["pixels"].values()) == result.labels.size


def test_a_still_can_be_plotted_and_a_frame_needs_its_picture(tmp_path):
    frame, result = scene()
    drawn = result.plot(frame)
    assert drawn.shape == frame.image.shape
    assert (drawn != frame.image).any()
    assert (result.plot(frame.image) == drawn).all()
    still = Segmentation(
        labels=result.labels, label_set=HELEN, faces=result.faces, image=frame.image
    )
    assert (still.plot() == drawn).all()
    assert (still.plot(view="mask")[result.labels == 10] == HELEN.colours[10]).all()
    with pytest.raises(SettingError, match=r"plot\(frame\)"):
        result.plot()
    with pytest.raises(SettingError, match="colour unknown"):
        still.plot(colour="red")
    with pytest.raises(SettingError, match="unknown"):
        still.plot(view="cartoon")


def test_a_plot_is_saved_in_the_format_of_its_suffix(tmp_path):
    frame, result = scene()

    def mode_of(path):
        with Image.open(path) as opened:
            assert opened.size == (640, 360)
            return opened.mode

    path = result.save(tmp_path / "new" / "out.png", frame)
    with Image.open(path) as opened:
        assert (np.asarray(opened) == result.plot(frame)).all()
    assert mode_of(result.save(tmp_path / "out.jpg", frame)) == "RGB"
    # formats with transparency use it, others do not
    cut = {"view": "cutout", "classes": ("hair",)}
    assert mode_of(result.save(tmp_path / "cut.png", frame, **cut)) == "RGBA"
    assert mode_of(result.save(tmp_path / "cut.jpg", frame, **cut)) == "RGB"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut.jpg", "cut.png", "new", "out.jpg"]
    with pytest.raises(SettingError, match=r"allowed: \.png"):
        result.save(tmp_path / "out.mp4", frame)
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot be written"):
        result.save(tmp_path / "file" / "out.png", frame)


def test_a_face_of_another_result_is_refused():
    _, result = scene()
    other = scene(heads=((0.3, 0.5, 0.5),))[1].faces[0]
    with pytest.raises(SettingError, match="not a face of this segmentation"):
        other.mask(result)


def test_a_face_prints_its_box():
    face = Face(box=Box(left=1, top=2, right=3, bottom=4), track_id=1, score=0.5)
    assert "track_id=1" in repr(face)

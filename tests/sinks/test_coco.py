"""COCO's own reader reads the output, and finds the labels in it."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from rtseg.errors import OutputExistsError
from rtseg.labels import HELEN
from rtseg.sinks.coco import CocoSink
from tests.sinks.drawn import HEIGHT, WIDTH, info, labels, write_run
from tests.support.clips import part_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools' own


def test_the_reference_reader_returns_the_labels(tmp_path, capsys):
    path = tmp_path / "out.json"
    write_run(CocoSink(str(path)), 3)
    data = COCO(str(path))
    assert [c["name"] for c in data.loadCats(data.getCatIds())] == list(HELEN.names[1:])
    assert data.getImgIds() == [1, 2, 3]
    for index, image in enumerate(data.loadImgs([1, 2, 3])):
        assert (image["width"], image["height"]) == (WIDTH, HEIGHT)
        assert image["frame"] == index
        assert image["seconds"] == pytest.approx(index / 30)
        back = np.zeros((HEIGHT, WIDTH), np.uint8)
        for annotation in data.loadAnns(data.getAnnIds(imgIds=[image["id"]])):
            back[data.annToMask(annotation) > 0] = annotation["category_id"]
            assert annotation["track_id"] == 1
        assert (back == labels(index)).all()
    ids = [annotation["id"] for annotation in data.loadAnns(data.getAnnIds())]
    assert len(set(ids)) == len(ids)


def test_a_run_without_frames_is_an_empty_data_set(tmp_path):
    path = tmp_path / "out.json"
    write_run(CocoSink(str(path)), 0)
    assert json.loads(path.read_text())["annotations"] == []


def test_a_failed_run_keeps_a_valid_file(tmp_path):
    path = tmp_path / "out.json"
    write_run(CocoSink(str(path)), 2, outcome="failed")
    assert not path.exists()
    assert len(json.loads(part_of(path).read_text())["images"]) == 2


def test_existing_files_are_kept(tmp_path):
    path = tmp_path / "out.json"
    path.write_text("mine")
    sink = CocoSink(str(path))
    with pytest.raises(OutputExistsError):
        sink.open(info(), width=WIDTH, height=HEIGHT)
    sink.close("failed")
    assert path.read_text() == "mine"
    write_run(CocoSink(str(path), overwrite=True), 1)
    assert json.loads(path.read_text())["images"]

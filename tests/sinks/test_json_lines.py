"""JSON lines: a header, then one line per frame."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from rtseg.errors import OutputExistsError, SinkError
from rtseg.labels import HELEN
from rtseg.sinks.json_lines import JsonLinesSink
from tests.sinks.drawn import HEIGHT, WIDTH, info, item, labels, write_run
from tests.support.clips import part_of


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_there_is_a_header_and_one_line_per_frame(tmp_path):
    path = tmp_path / "out.jsonl"
    sink = JsonLinesSink(str(path))
    assert not sink.wants_pixels
    time_base = Fraction(1001, 30_000)
    sink.open(info(time_base=time_base), width=WIDTH, height=HEIGHT)
    for i in range(3):
        frame, segmentation, _ = item(i, pts=2 * i, time_base=time_base)
        sink.write(frame, segmentation, None)
    sink.close("finished")
    header, *frames = lines_of(path)
    assert header == {
        "schema": 1,
        "source": "drawn",
        "width": WIDTH,
        "height": HEIGHT,
        "time_base": "1001/30000",
        "labels": list(HELEN.names),
    }
    assert [line["index"] for line in frames] == [0, 1, 2]
    assert [line["pts"] for line in frames] == [0, 2, 4]
    assert frames[2]["seconds"] == pytest.approx(4 * 1001 / 30_000)
    assert frames[1]["faces"] == [
        {
            "box": [4.0, 2.5, 20.0, 30.0],
            "face_box": [4.0, 2.5, 20.0, 30.0],
            "track": 1,
            "score": 0.75,
        }
    ]
    for i, line in enumerate(frames):
        counts = np.bincount(labels(i).ravel(), minlength=len(HELEN))
        assert line["pixels"] == dict(zip(HELEN.names, counts.tolist(), strict=True))
        assert sum(line["pixels"].values()) == WIDTH * HEIGHT


def test_the_file_gets_its_name_only_when_complete(tmp_path):
    path = tmp_path / "out.jsonl"
    sink = JsonLinesSink(str(path))
    sink.open(info(), width=WIDTH, height=HEIGHT)
    sink.write(*item(0))
    assert not path.exists()
    sink.close("failed")
    assert not path.exists()
    assert len(lines_of(part_of(tmp_path / "out.jsonl"))) == 2


def test_a_failed_run_without_a_frame_leaves_nothing(tmp_path):
    write_run(JsonLinesSink(str(tmp_path / "out.jsonl")), 0, outcome="failed")
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_replaced_only_if_allowed(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("precious")
    sink = JsonLinesSink(str(path))
    with pytest.raises(OutputExistsError, match="`overwrite`"):
        sink.open(info(), width=WIDTH, height=HEIGHT)
    sink.close("failed")
    assert path.read_text() == "precious"
    write_run(JsonLinesSink(str(path), overwrite=True), 1)
    assert len(lines_of(path)) == 2


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(SinkError, match="is a folder"):
        JsonLinesSink(str(tmp_path)).open(info(), width=WIDTH, height=HEIGHT)

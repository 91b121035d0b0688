"""What a stream cannot have is named before its run: sources, outputs, and what the model lacks."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtseg.labels import HELEN
from tests.serving.written import problem, read

HELEN_WITHOUT_TEETH = dataclasses.replace(HELEN, inner_mouth=())


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('classes = ["skin", "nostril"]', "classes: unknown class 'nostril'; allowed: all, auto"),
        ('effects = ["glow=1"]', "effects: 'glow' is unknown; allowed: lips, "),
        ('effects = ["teeth=1"]', "effects teeth: the model has no teeth: "),
        ('effects = ["background=gone.png"]', "effects background=gone.png: 'gone.png' is neither"),
        ('background = "nocolour"', "background: 'nocolour'"),
        (
            'view = "cutout"\nbackground = "transparent"\noutputs = ["a.mp4"]',
            "background transparent: this output cannot hold transparency",
        ),
        (
            'outputs = ["a.webm"]\ncodec = "h264"',
            "outputs: TMP/a.webm: codec: .webm cannot hold h264; allowed in .webm: ",
        ),
        ('outputs = ["in/"]\ncrf = 63', "crf: 63 is out of range for h264; allowed: 0 to 51"),
        ('outputs = ["a.mkv"]\npreset = "hasty"', "preset: 'hasty' is unknown to h264; allowed: "),
    ],
)
def test_what_the_model_or_an_output_lacks_is_named_without_opening_either(
    tmp_path: Path, table: str, words: str
) -> None:
    words = words.replace("TMP", str(tmp_path))
    assert words in problem(tmp_path, f'source = "0"\n{table}', label_set=HELEN_WITHOUT_TEETH)
    assert [path.name for path in tmp_path.iterdir()] == ["streams.toml"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("gone.mp4", "source: TMP/gone.mp4: no such file; check the path"),
        ("gone/", "source: TMP/gone: no such file"),
        ("gone/*.png", "source: TMP/gone/*.png: no file matches this pattern"),
        ("file:///gone.mp4", "source: /gone.mp4: no such file"),
        ("empty", "source: TMP/empty: no picture that can be read"),
        ("notes.mp4", "source: notes.mp4: is not a video that FFmpeg can read"),
        ("nothing.mp4", "source: nothing.mp4: is empty (0 bytes)"),
        ("synthetic:car", "source: synthetic:car: nothing may follow synthetic:"),
        ("s3://bucket/a", "source: s3://bucket/a: the protocol 's3' is unknown"),
    ],
)
def test_a_source_that_cannot_be_read_is_named_before_the_run(
    tmp_path: Path, source: str, words: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.mp4").write_text("no video at all\n" * 50)
    (tmp_path / "nothing.mp4").touch()
    words = words.replace("TMP", str(tmp_path))
    assert words in problem(tmp_path, f'source = "{source}"', label_set=HELEN)


@pytest.mark.parametrize(
    "source", ["7", "/dev/video77", "rtsp://127.0.0.1:1/a", "http://127.0.0.1:1/", "-", "pipe"]
)
def test_a_source_that_may_come_later_is_no_error(tmp_path: Path, source: str) -> None:
    if source == "pipe":
        os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    text = f'[streams.a]\nsource = "{source}"\n'
    assert not read(tmp_path, text, label_set=HELEN).problems


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ('outputs = ["file/a.mp4"]', "outputs: TMP/file: cannot be created: TMP/file is not a"),
        ('outputs = ["file/new/"]', "outputs: TMP/file/new: cannot be created: TMP/file is not"),
        ('outputs = ["locked/%06d.png"]', "outputs: TMP/locked: cannot be written: permission"),
        (
            'labels = "locked/new/ids/"',
            "labels: TMP/locked/new: cannot be created in TMP/locked: p",
        ),
        ('json = "locked/a.jsonl"', "json: TMP/locked: cannot be written: permission denied"),
        ('coco = "file/a.json"', "coco: TMP/file: cannot be created: TMP/file is not a folder"),
    ],
)
def test_a_folder_that_cannot_hold_outputs_is_named_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, words: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "locked").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked")  # root may
    words = words.replace("TMP", str(tmp_path))
    assert words in problem(tmp_path, f'source = "0"\n{output}', label_set=HELEN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "locked", "streams.toml"]


def test_transparency_is_allowed_where_an_output_holds_it(tmp_path: Path) -> None:
    text = 'view = "cutout"\nbackground = "transparent"\n[streams.a]\nsource = 0\n'
    assert not read(tmp_path, f'{text}outputs = "out/%06d.png"', label_set=HELEN).problems


@pytest.mark.parametrize("name", ["door.mkv", "door.gif", "out/%06d.png", "door.m3u8"])
def test_an_existing_recording_is_no_error_since_the_next_one_is_numbered(
    tmp_path: Path, name: str
) -> None:
    existing = tmp_path / (name % 0 if "%" in name else name)
    existing.parent.mkdir(exist_ok=True)
    existing.write_bytes(b"earlier")
    text = f'[streams.a]\nsource = 0\noutputs = ["{name}"]\n'
    assert not read(tmp_path, text, label_set=HELEN).problems
    assert existing.read_bytes() == b"earlier"


def test_a_background_file_is_relative_to_the_file_of_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cv2.imwrite(str(tmp_path / "beach.png"), np.zeros((8, 8, 3), np.uint8))
    text = '[streams.a]\nsource = 0\neffects = ["background=beach.png"]\n'
    asked = read(tmp_path, text, label_set=HELEN)
    assert not asked.problems
    assert asked.definitions[0].effects == (f"background={tmp_path / 'beach.png'}",)

"""Reading a file of streams, and one clear line for each error."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.labels import HELEN
from rtseg.serving.streams_file import StreamsFile, read_streams
from rtseg.settings import FaceSettings, ViewSettings


def read(folder: Path, text: str, **defaults: object) -> StreamsFile:
    path = folder / "streams.toml"
    path.write_text(text)
    return read_streams(path, **defaults)  # type: ignore[arg-type]


HELEN_WITHOUT_TEETH = dataclasses.replace(HELEN, inner_mouth=())


def problem(folder: Path, table: str, **defaults: object) -> str:
    """The problem reported for one stream's table, beside a valid one."""
    text = f'[streams.fine]\nsource = "0"\n[streams.door]\n{table}\n'
    read_file = read(folder, text, **defaults)
    assert [one.name for one in read_file.definitions] == ["fine"]
    assert list(read_file.problems) == ["door"]
    words = read_file.problems["door"]
    start = f"{folder / 'streams.toml'}: [streams.door] "
    assert words.startswith(start)
    assert "\n" not in words
    assert "`" not in words
    return words.removeprefix(start)


def test_a_stream_inherits_what_it_does_not_set(tmp_path: Path) -> None:
    asked = read(
        tmp_path,
        """
        view = "mask"
        max-faces = 2
        stale_after = 7

        [streams.door]
        source = 1
        outputs = ["rec/", "/srv/door.mkv", "rtsp://host/door", "virtual-camera:/dev/video9"]
        opacity = 0.25
        classes = ["skin", "hair"]
        width = 640
        crf = 28
        mirror = true

        [streams."yard.2"]
        source = "clips/yard.mp4"
        outputs = "yard.mp4"
        view = "blur"
        classes = "face"
        effects = []

        [streams.net]
        source = "rtsp://user:pw@host/net"
        """,
        view=ViewSettings(opacity=0.9, legend=True),
        faces=FaceSettings(smoothing=0.25),
    )
    assert not asked.problems
    door, yard, net = asked.definitions
    assert (door.name, door.source) == ("door", "1")
    assert door.outputs == (
        f"{tmp_path}/rec/",
        "/srv/door.mkv",
        "rtsp://host/door",
        "virtual-camera:/dev/video9",
    )
    assert (door.view.view, door.view.opacity, door.view.legend) == ("mask", 0.25, True)
    assert door.view.classes == ("skin", "hair")
    assert (door.faces.max_faces, door.faces.smoothing) == (2, 0.25)
    assert (door.camera.width, door.encode.crf, door.virtual.mirror) == (640, 28, True)
    assert door.reconnect.stale_after == 7.0
    assert door.reconnect.max_reconnects > 1000, "a server goes on trying"
    assert yard.source == str(tmp_path / "clips/yard.mp4")
    assert (yard.view.view, yard.view.opacity, yard.view.classes) == ("blur", 0.9, ("face",))
    assert net.shown_source == "rtsp://host/net", "no password"


def test_an_effect_changes_the_default_view(tmp_path: Path) -> None:
    asked = read(tmp_path, '[streams.a]\nsource = 0\neffects = ["lips=#b0122a"]\n')
    assert asked.definitions[0].view.view == "none"
    asked = read(tmp_path, 'effects = ["skin=0.5"]\nview = "mask"\n[streams.a]\nsource = 0\n')
    assert asked.definitions[0].effects == ("skin=0.5",)
    assert asked.definitions[0].view.view == "mask"


def test_the_same_file_gives_equal_streams(tmp_path: Path) -> None:
    text = '[streams.a]\nsource = 0\n[streams.b]\nsource = 1\nview = "mask"\n'
    first = read(tmp_path, text).definitions
    assert first == read(tmp_path, text).definitions
    assert first[1] != dataclasses.replace(first[1], view=ViewSettings())


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "has no source; give a camera's index"),
        ("sorce = 3", "sorce: there is no such setting; did you mean source? allowed: source, "),
        (
            'source = "0"\nouptuts = []',
            "did you mean outputs? allowed: source, outputs, labels, json",
        ),
        ('source = "0"\nxyzzy = 1', "xyzzy: there is no such setting; allowed: source"),
        ('source = "0"\nView = "mask"', "View: there is no such setting; did you mean view?"),
        (
            'source = "0"\n[streams.door.camera]\nwidth = 9',
            "camera: there is no such setting; "
            "settings are not grouped: write width without a table",
        ),
        ('source = "0"\n[streams.door.view]\nopacity = 1', "view: is a setting, not a table"),
        ('source = "0"\nopacity = 1979-05-27', "opacity: found datetime.date"),
        ('source = "0"\nlabels = 3', "labels: found 3; allowed: the name of a file"),
        ('source = "0"\nlabels = "a.webm"', "a.webm: .webm cannot hold labels"),
        ('source = "0"\njson = "s3://b/a.jsonl"', "s3://b/a.jsonl"),
        ("source = true", "source: found True; allowed: a string, or a camera's index"),
        ('source = ""', "source: found ''"),
        ('source = "0"\nviev = "mask"', "viev: there is no such setting; did you mean view?"),
        ('source = "0"\noverwrite = true', "overwrite: there is no such setting"),
        ('source = "0"\nview = "blurr"', "view: 'blurr' is unknown; allowed: overlay, mask"),
        ('source = "0"\nview = 3', "view: found 3; allowed: overlay"),
        ('source = "0"\nopacity = 3.0', "opacity: 3.0 is out of range; allowed: 0.0 to 1.0"),
        ('source = "0"\nopacity = "much"', "opacity: found 'much'; allowed: a number"),
        ('source = "0"\nopacity = true', "opacity: found True; allowed: a number"),
        ('source = "0"\nmax_faces = 2.5', "max_faces: found 2.5; allowed: a whole number"),
        ('source = "0"\ninvert = "yes"', "invert: found 'yes'; allowed: true or false"),
        ('source = "0"\nclasses = [1]', "classes: found [1]; allowed: a list of strings"),
        ('source = "0"\nbackground = 7', "background: found 7; allowed: a string"),
        ('source = "0"\noutputs = [""]', "outputs: found ['']; allowed: a list of strings"),
        ('source = "0"\noutputs = "out.xyz"', "out.xyz: .xyz cannot be written"),
        ('source = "0"\noutputs = "-"', "outputs: standard output cannot hold streams"),
        ('source = "0"\neffects = ["lips=nocolour"]', "nocolour"),
        ('source = "0"\neffects = "lips=#b0122a"', "effects: found 'lips=#b0122a'; allowed"),
    ],
)
def test_an_error_in_one_stream_is_reported_in_one_line(
    tmp_path: Path, table: str, words: str
) -> None:
    assert words in problem(tmp_path, table)


def test_data_outputs_are_parsed(tmp_path: Path) -> None:
    asked = read(
        tmp_path,
        """
        [streams.a]
        source = 0
        labels = "ids/"
        json = "/srv/a.jsonl"
        [streams.b]
        source = 1
        coco = "b.json"
        """,
    )
    assert not asked.problems
    first, second = asked.definitions
    assert first.data == {"labels": f"{tmp_path}/ids/", "records": "/srv/a.jsonl"}
    assert second.data == {"coco": f"{tmp_path}/b.json"}


def test_two_streams_cannot_share_a_data_output(tmp_path: Path) -> None:
    asked = read(
        tmp_path,
        """
        [streams.a]
        source = 0
        labels = "ids/"
        json = "lines/a.jsonl"
        [streams.b]
        source = 1
        labels = "ids"
        [streams.c]
        source = 2
        json = "lines/../lines/a.jsonl"
        [streams.d]
        source = 2
        outputs = ["d.mkv"]
        labels = "d.mkv"
        """,
    )
    assert [one.name for one in asked.definitions] == ["a"]
    assert "labels of [streams.b]" in asked.problems["b"]
    assert "is also labels of [streams.a]" in asked.problems["b"]
    assert "is also json of [streams.a]" in asked.problems["c"]
    assert "is also outputs of [streams.d]" in asked.problems["d"]


def test_an_entry_that_is_no_table_affects_no_other(tmp_path: Path) -> None:
    asked = read(tmp_path, "[streams]\ndoor = 3\n[streams.a]\nsource = 0\n")
    assert [one.name for one in asked.definitions] == ["a"]
    assert "found 3; allowed: a table" in asked.problems["door"]


def test_an_invalid_name_is_refused(tmp_path: Path) -> None:
    asked = read(tmp_path, '[streams."a/b"]\nsource = 0\n')
    assert "name: 'a/b' is not allowed" in asked.problems["a/b"]


def test_an_output_must_not_be_a_source_or_another_streams_output(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").touch()
    asked = read(
        tmp_path,
        """
        [streams.a]
        source = "in.mp4"
        outputs = ["out.mp4", "rec/"]
        [streams.b]
        source = 0
        outputs = ["./out.mp4"]
        [streams.c]
        source = 0
        outputs = ["in.mp4"]
        [streams.d]
        source = 0
        outputs = ["rec/"]
        """,
    )
    assert [one.name for one in asked.definitions] == ["a", "d"]
    assert "is also outputs of [streams.a]" in asked.problems["b"]
    assert "is the input itself" in asked.problems["c"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no stream; write [streams.NAME]"),
        ("streams = 3", "streams must be tables"),
        ("[streams]\ndoor = 3", "streams must be tables"),
        ("[streams.a\nsource = 0", "is not TOML: "),
        ("[streams.a]\nsource = 0\n[streams.a]\n", "is not TOML: "),
        ("opacity = 5\n[streams.a]\nsource = 0", "opacity: 5.0 is out of range"),
        ("source = 0\n[streams.a]\nsource = 0", "source: there is no such setting"),
        ("[stream.a]\nsource = 0", "holds no stream (found [stream]); write [streams.NAME]"),
        ("[[streams]]\nsource = 0", "streams must be tables; write [streams.NAME]"),
        (
            "[stream.b]\n[streams.a]\nsource = 0",
            "stream: there is no such setting; did you mean streams?",
        ),
        (
            "opacty = 1\n[streams.a]\nsource = 0",
            "did you mean opacity? allowed: streams, effects, ",
        ),
        (
            "[defaults]\nview = 'mask'\n[streams.a]\nsource = 0",
            "defaults: there is no such setting; "
            "settings are not grouped: write view without a table",
        ),
    ],
)
def test_an_invalid_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingError) as refused:
        read(tmp_path, text)
    assert words in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path / 'streams.toml'}: ")
    assert "\n" not in str(refused.value)


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


def test_a_file_named_as_another_stream_names_its_own_in_the_folder_is_refused(
    tmp_path: Path,
) -> None:
    asked = read(
        tmp_path,
        """
        [streams.a]
        source = 0
        outputs = ["rec/"]
        [streams.b]
        source = 1
        outputs = ["rec/a.mkv"]
        """,
    )
    assert [one.name for one in asked.definitions] == ["a"]
    assert f"{tmp_path}/rec/a.mkv is also outputs of [streams.a]" in asked.problems["b"]


def test_a_class_at_the_top_is_an_error_of_the_file(tmp_path: Path) -> None:
    text = 'classes = "nostril"\n[streams.a]\nsource = 0\n'
    with pytest.raises(SettingError, match=r"streams\.toml: classes: unknown class 'nostril'"):
        read(tmp_path, text, label_set=HELEN)


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


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"none\.toml: cannot be read: No such file"):
        read_streams(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'view = "\xff"')
    with pytest.raises(SettingError, match="is not TOML"):
        read_streams(tmp_path / "latin.toml")

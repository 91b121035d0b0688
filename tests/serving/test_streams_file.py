"""Reading a file of streams, and one clear line for each error."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rtseg.errors import SettingError
from rtseg.labels import HELEN
from rtseg.serving.streams_file import read_streams
from rtseg.settings import FaceSettings, ViewSettings
from tests.serving.written import problem, read


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


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"none\.toml: cannot be read: No such file"):
        read_streams(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'view = "\xff"')
    with pytest.raises(SettingError, match="is not TOML"):
        read_streams(tmp_path / "latin.toml")

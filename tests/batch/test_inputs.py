"""Files, folders, patterns and manifests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from rtseg.batch import read_inputs
from rtseg.errors import SettingError, SourceError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clips = tmp_path / "clips"
    (clips / "deep").mkdir(parents=True)
    for name in ("b.mp4", "a.MOV", "notes.txt.bak", "deep/c.webm"):
        (clips / name).write_bytes(b"x")
    return clips


def names_of(sources: tuple[str, ...]) -> list[str]:
    return [Path(source).name for source in sources]


def test_a_folders_videos_are_found_at_any_depth(folder: Path) -> None:
    assert names_of(read_inputs([str(folder)]).sources) == ["a.MOV", "b.mp4", "c.webm"]


def test_an_input_named_twice_is_done_once(folder: Path) -> None:
    twice = read_inputs([str(folder / "*.mp4"), str(folder / "b.mp4"), str(folder)])
    assert names_of(twice.sources) == ["b.mp4", "a.MOV", "c.webm"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "txt"])
def test_a_bad_line_is_reported_and_the_others_continue(folder: Path, kind: str) -> None:
    lines = ["clips/b.mp4", "clips/none.mp4", "s3://bucket/far.mp4", str(folder / "a.MOV")]
    manifest = folder.parent / f"list.{kind}"
    if kind == "csv":
        manifest.write_text("input,note\n" + "".join(f"{line},\n" for line in lines))
    elif kind == "parquet":
        parquet.write_table(pa.table({"input": lines}), manifest)
    else:
        manifest.write_text("\n".join([*lines[:1], "", "# a remark", *lines[1:]]))
    inputs = read_inputs([str(manifest)])
    assert inputs.sources == (str(folder / "b.mp4"), "s3://bucket/far.mp4", str(folder / "a.MOV"))
    (bad,) = inputs.bad
    number = {"csv": 2, "parquet": 2, "txt": 4}[kind]
    assert bad.message == f"{manifest}:{number}: clips/none.mp4: no such file"


@pytest.fixture
def far() -> Iterator[Any]:
    """A storage in memory: clips/b.mp4, clips/a10.MOV, clips/a9.mov, clips/note.md, lists/."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name in ("b.mp4", "a10.MOV", "a9.mov", "note.md", "deep/c.webm"):
        memory.pipe_file(f"/far/clips/{name}", b"x")
    yield memory
    memory.rm("/far", recursive=True)


@pytest.mark.usefixtures("far")
def test_distant_folders_and_patterns_are_expanded() -> None:
    clips = "memory://far/clips"
    folder = read_inputs([f"{clips}/"])
    assert [source.removeprefix("memory:///").removeprefix("memory://") for source in
            folder.sources] == [
        "far/clips/a9.mov", "far/clips/a10.MOV", "far/clips/b.mp4", "far/clips/deep/c.webm"
    ]  # fmt: skip
    assert names_of(read_inputs([f"{clips}/a*"]).sources) == ["a9.mov", "a10.MOV"]
    assert read_inputs([f"{clips}/b.mp4"]).sources == (f"{clips}/b.mp4",)
    nothing = read_inputs([f"{clips}/*.avi", "memory://far/none/", f"{clips}/b.mp4"])
    assert names_of(nothing.sources) == ["b.mp4"]
    assert [item.message.partition(": ")[0] for item in nothing.bad] == [
        f"{clips}/*.avi",
        "memory://far/none/",
    ]


@pytest.mark.parametrize("kind", ["csv", "parquet", "txt"])
def test_a_distant_manifest_names_its_own_folder(far: Any, folder: Path, kind: str) -> None:
    lines = ["../clips/b.mp4", "a.mov", "s3://bucket/far.mp4", str(folder / "b.mp4")]
    local = folder / f"list.{kind}"
    if kind == "parquet":
        parquet.write_table(pa.table({"input": [*lines, ""]}), local)
    else:
        head = "input\n" if kind == "csv" else "# all\n"
        local.write_text(head + "".join(f"{line}\n" for line in lines) + ('""\n' * (kind == "csv")))
    far.pipe_file(f"/far/lists/list.{kind}", local.read_bytes())
    inputs = read_inputs([f"memory://far/lists/list.{kind}"])
    assert inputs.sources == (
        "memory://far/clips/b.mp4",
        "memory://far/lists/a.mov",
        *lines[2:],
    )
    messages = [item.message for item in inputs.bad]
    expected = f"memory://far/lists/list.{kind}:5: the column 'input' is empty"
    assert messages == ([] if kind == "txt" else [expected])


def test_a_distant_place_that_cannot_be_listed_is_one_line(folder: Path) -> None:
    pytest.importorskip("fsspec")
    inputs = read_inputs([str(folder / "b.mp4"), "memory://none/list.csv", "nowhere://x/*.mp4"])
    assert names_of(inputs.sources) == ["b.mp4"]
    assert [item.message.partition(": ")[0] for item in inputs.bad] == [
        "memory://none/list.csv",
        "nowhere://x/*.mp4",
    ]
    assert all("\n" not in item.message for item in inputs.bad)


def test_addresses_that_ffmpeg_reads_are_not_expanded() -> None:
    names = ["http://host/a.mp4?x=*", "http://host/folder/", "rtsp://host/live"]
    assert list(read_inputs(names).sources) == names


def test_addresses_of_local_files_are_local(folder: Path) -> None:
    manifest = folder.parent / "list.txt"
    manifest.write_text((folder / "a.MOV").as_uri() + "\n")
    inputs = read_inputs([str(manifest), folder.as_uri(), f"file://{folder}/*/*.webm"])
    assert names_of(inputs.sources) == ["a.MOV", "b.mp4", "c.webm"]
    assert inputs.bad == ()


@pytest.mark.parametrize("pattern", ["*/*.webm", "**/*.webm", "**/c.*", "d[e]ep/*", "deep/?.webm"])
def test_a_pattern_may_name_folders(folder: Path, pattern: str) -> None:
    assert names_of(read_inputs([str(folder / pattern)]).sources) == ["c.webm"]


def test_missing_inputs_do_not_stop_the_others(folder: Path) -> None:
    (folder.parent / "empty").mkdir()
    inputs = read_inputs(
        [str(folder / "b.mp4"), "no.mp4", str(folder / "*.avi"), str(folder.parent / "empty")]
    )
    assert names_of(inputs.sources) == ["b.mp4"]
    assert [item.message.partition(": ")[2] for item in inputs.bad] == [
        "no such file",
        "the pattern matches no file",
        "contains no video",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"file,size\nx,1\n", "needs a column 'input'; found file, size"),
        ("a.csv", b"", "needs a column 'input'; found none"),
        ("a.parquet", b"no table", "is not a Parquet file"),
        ("a.csv", b"input\n" + b"x" * 200_000, "is not a CSV file: field larger"),
        ("a.csv", b"input\n\xff\n", "a manifest must be text in UTF-8"),
        ("a.parquet", b"PAR1" + b"\0" * 40 + b"PAR1", "is not a Parquet file|cannot be read"),
        ("a.txt", b"\xff\xfe\x00", "a manifest must be text in UTF-8"),
    ],
)
def test_a_file_that_is_no_manifest_is_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        read_inputs([str(tmp_path / name)])
    assert "\n" not in str(caught.value)


def test_no_input_at_all_is_a_wrong_option() -> None:
    with pytest.raises(SettingError, match="no input"):
        read_inputs([])

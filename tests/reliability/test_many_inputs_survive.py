"""Inputs behind playlists, folders, patterns and batches are never damaged."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from rtseg.settings import EncodeSettings
from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from tests.reliability.survival import pictures, posix, unharmed
from tests.support.clips import MakeClip

pytestmark = pytest.mark.usefixtures("no_network")


LISTS = {
    "list.ffconcat": "ffconcat version 1.0\nfile 'a.ts'\nfile b.ts\n",
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\na.ts\n#EXTINF:0.4,\nb.ts\n"
    "#EXT-X-ENDLIST\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_files_named_in_a_playlist_are_protected(
    run: Run, make_clip: MakeClip, tmp_path: Path, name: str
) -> None:
    for clip in ("a.ts", "b.ts"):
        make_clip(clip, ticks=range(10))
    (tmp_path / name).write_text(LISTS[name])
    inputs = [tmp_path / part for part in ("a.ts", "b.ts", name)]
    (tmp_path / "b.mkv").symlink_to(tmp_path / "b.ts")
    with unharmed(*inputs):
        result = run(
            *("video", tmp_path / name, "--allow-nested-urls"),
            *("-o", tmp_path / "b.mkv", "--overwrite"),
        )
        assert result.code == 2, result.err
        assert "is the input itself" in result.error
        result = run(
            *("video", tmp_path / name, "--allow-nested-urls"),
            *("-o", tmp_path / "out.mp4", "--json", tmp_path / "a.ts", "--overwrite"),
        )
    assert result.code == 2, result.err


def test_a_playlist_that_names_itself_is_read_once(tmp_path: Path) -> None:
    from rtseg.sources.read_files import read_by

    one, two = tmp_path / "one.m3u8", tmp_path / "two.m3u8"
    one.write_text('#EXTM3U\ntwo.m3u8\n#EXT-X-MEDIA:URI="sound.ts"\n')
    two.write_text(f"#EXTM3U\n{one.as_uri()}\nmissing.ts\nhttp://host/x.ts\n")
    (tmp_path / "sound.ts").touch()
    dash = tmp_path / "m.mpd"
    dash.write_text('<?xml version="1.0"?><MPD><BaseURL>chunk-1.m4s</BaseURL>\n'
                    '<S media="chunk-$Number%05d$.m4s"/></MPD>')  # fmt: skip
    (tmp_path / "chunk-1.m4s").touch()
    (tmp_path / "chunk-00002.m4s").touch()
    named = {Path(path).name for path in read_by(str(one), allow_nested_urls=True)}
    assert named == {"one.m3u8", "two.m3u8", "sound.ts"}
    named = {Path(path).name for path in read_by(str(dash), allow_nested_urls=True)}
    assert named == {"m.mpd", "chunk-1.m4s", "chunk-00002.m4s"}
    assert read_by(str(one)) == (one,)


STILLS = ["000000.png", "000001.png", "000002.png"]


@posix
@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("shots", "shots/%06d.png"),
        ("shots/*.png", "shots/%06d.png"),
        ("shots/%06d.png", "shots/%06d.png"),
        ("shots", "linked/%06d.png"),
        ("linked/*.png", "shots/%06d.png"),
        ("shots/./*.png", "shots/../shots/%06d.png"),
        ("shots/00000[12].png", "shots/%06d.png"),
        ("shots", "second/%06d.png"),
        ("second/*.png", "shots/%06d.png"),
        ("shots/**/*.png", "shots/%06d.png"),
    ],
)
@pytest.mark.parametrize("option", ["-o", "--labels"])
def test_stills_are_never_replaced(
    run: Run, tmp_path: Path, source: str, output: str, option: str
) -> None:
    shots = pictures(tmp_path / "shots", STILLS)
    (tmp_path / "linked").symlink_to(shots)
    (tmp_path / "second").mkdir()
    os.link(shots / STILLS[1], tmp_path / "second" / STILLS[1])
    with unharmed(shots):
        result = run("video", tmp_path / source, option, tmp_path / output, "--overwrite")
    assert result.code in (2, 5), result.err
    assert "is one of the inputs" in result.error or "is the input itself" in result.error


def test_a_selection_of_the_stills_protects_the_others(run: Run, tmp_path: Path) -> None:
    shots = pictures(tmp_path / "shots", STILLS)
    with unharmed(shots):
        result = run(
            *("video", shots, "--start", 0.08, "-o", shots / "%06d.png", "--overwrite"),
        )
    assert result.code == 5
    assert "is one of the inputs" in result.error


@posix
def test_labels_in_the_folder_of_the_stills_are_refused(run: Run, tmp_path: Path) -> None:
    shots = pictures(tmp_path / "shots", STILLS)
    with unharmed(shots):
        result = run("video", shots, "--labels", shots, "--overwrite")
    assert result.code == 5
    assert "is one of the inputs" in result.error


@posix
@pytest.mark.parametrize("folder", ["photos", "linked", "photos/../photos", "second"])
@pytest.mark.parametrize("option", ["-o", "--labels"])
def test_image_protects_its_inputs(run: Run, tmp_path: Path, folder: str, option: str) -> None:
    photos = pictures(tmp_path / "photos", ["a.png", "b.png"])
    (tmp_path / "linked").symlink_to(photos)
    (tmp_path / "second").mkdir()
    os.link(photos / "b.png", tmp_path / "second" / "b.png")
    for source in (photos, photos / "*.png", photos / "b.png"):
        with unharmed(photos):
            result = run("image", source, option, tmp_path / folder, "--overwrite")
        assert result.code == 2, result.err
        assert "is an input itself" in result.error


@posix
@pytest.mark.parametrize("folder", ["clips", "linked", "clips/../clips"])
@pytest.mark.parametrize("option", ["-o", "--labels"])
def test_batches_protect_every_input(
    run: Run, make_clip: MakeClip, tmp_path: Path, folder: str, option: str
) -> None:
    (tmp_path / "clips").mkdir()
    clips = [make_clip(f"clips/{name}") for name in ("a.mkv", "b.mkv", "c.mkv")]
    (tmp_path / "linked").symlink_to(tmp_path / "clips")
    with unharmed(*clips):
        result = run("video", *clips, option, tmp_path / folder, "--overwrite")
    assert result.code == 2, result.err
    assert "is the input itself" in result.error
    assert set((tmp_path / "clips").iterdir()) == set(clips)


@posix
def test_an_output_that_is_another_ones_input_is_refused(
    run: Run, make_clip: MakeClip, tmp_path: Path
) -> None:
    for folder in ("one", "two", "out"):
        (tmp_path / folder).mkdir()
    first, second = make_clip("one/a.mp4"), make_clip("two/b.mp4")
    (tmp_path / "out" / "a.mp4").symlink_to(second)
    with unharmed(first, second):
        result = run("video", first, second, "-o", tmp_path / "out", "--overwrite")
    assert result.code == 2
    assert "is the input itself" in result.error


def test_an_interrupted_batch_keeps_files_finished_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from rtseg.batch import BatchSettings, InProcessRunner, plan_direct, run_direct
    from rtseg.settings import ModelSettings

    opened = SimpleNamespace(summary=None)
    monkeypatch.setattr("rtseg.backends.open_backend_for", lambda _model: nullcontext())
    monkeypatch.setattr(
        "rtseg.batch.in_process.open_task", lambda _task, backend: nullcontext(opened)
    )
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.mp4").write_bytes(b"finished before")
    settings = BatchSettings(encode=EncodeSettings(overwrite=True))
    tasks = plan_direct(["a.mp4", "b.mp4"], {"pictures": str(out)}, settings)
    with unharmed(out):
        report = run_direct(tasks, InProcessRunner(ModelSettings(), lambda _run: 130))
    assert report.exit_code == 130

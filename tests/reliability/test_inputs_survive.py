"""No input and no earlier output is ever damaged, by whatever name it is called."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures

import rtseg.backends
import rtseg.process
import rtseg.segmenter
import training.cli
from rtseg.errors import OutputExistsError, SinkError
from rtseg.frames import Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.media.info import SourceInfo
from rtseg.settings import EncodeSettings
from rtseg.sinks import Sink, open_sink
from rtseg.sinks.json_lines import JsonLinesSink
from rtseg.sinks.labels.images import open_labels_sink
from rtseg.system import files
from rtseg.system.files import file_ids
from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from tests.reliability.command import StandInSegmenter, start, wait_until_ready
from tests.support.clips import MakeClip, frame_times, parts_of, picture

posix = pytest.mark.skipif(os.name == "nt", reason="links as POSIX has them")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is loaded: what is tested is where files go."""
    for module in (rtseg.segmenter, rtseg.process):
        monkeypatch.setattr(module, "Segmenter", StandInSegmenter)
    for module in (rtseg.backends, rtseg.process):
        monkeypatch.setattr(module, "open_backend_for", lambda _model: nullcontext())


def digests(*roots: Path) -> dict[str, str]:
    """The content of every file below, by its name."""
    by_path: dict[str, str] = {}
    for root in roots:
        paths = [root] if root.is_file() else [p for p in root.rglob("*") if p.is_file()]
        by_path |= {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}
    return by_path


@contextmanager
def unharmed(*inputs: Path) -> Iterator[None]:
    """The files are the same after the block as before it: content, names and all."""
    before = digests(*inputs)
    assert before
    yield
    after = digests(*inputs)
    assert {name: after.get(name) for name in before} == before


def pictures(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Pictures.fromarray(picture(number)).save(folder / name)
    return folder


# --- what a killed run left ---


@pytest.mark.parametrize("name", ["out.part.mp4", "out.0123abcd.part.mp4", "out.part.part.mp4"])
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_part_file_can_be_an_input(
    run: Run, make_clip: MakeClip, tmp_path: Path, name: str, overwrite: tuple[str, ...]
) -> None:
    part = make_clip(name, ticks=range(30))
    with unharmed(part):
        result = run("video", part, "-o", tmp_path / "out.mp4", *overwrite)
    assert result.code == 0, result.err
    assert frame_times(tmp_path / "out.mp4") == frame_times(part)
    if name != "out.part.part.mp4":
        assert f"{part}: left by an earlier run that was interrupted; kept" in result.err


@posix
def test_the_part_file_of_a_killed_run_is_kept_and_named(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    clip, out = make_clip("in.mkv", ticks=range(400)), tmp_path / "out.mp4"
    with start("video", clip, "-o", out, seconds=0.02) as process:
        wait_until_ready(process)
        time.sleep(0.7)
        process.kill()
        process.communicate(timeout=30)
    (part,) = parts_of(out)
    with unharmed(part, clip), start("video", clip, "-o", out) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert f"{part}: left by an earlier run" in errors
    assert len(frame_times(out)) == 400
    assert parts_of(out) == [part]
    # And it is an input like any other.
    with unharmed(part), start("video", part, "-o", out, "--overwrite") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 4), errors  # it may say that it is cut off
    assert 0 < len(frame_times(out)) < 400


@posix
def test_the_part_file_of_a_killed_label_archive_is_kept(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    clip = make_clip("in.mkv", ticks=range(400))
    outputs = ["--labels", tmp_path / "a.npz", "--json", tmp_path / "a.jsonl"]
    with start("video", clip, *outputs, seconds=0.02) as process:
        wait_until_ready(process)
        process.kill()
        process.communicate(timeout=30)
    left = [path for path in tmp_path.iterdir() if ".part" in path.name]
    assert len(left) == 2
    with unharmed(*left), start("video", clip, *outputs) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


# --- the input under another name, with --overwrite ---


def same_path(path: Path) -> str:
    return str(path)


def relative(path: Path) -> str:
    return os.path.relpath(path)


def roundabout(path: Path) -> str:
    return f"{path.parent}/sub/../{path.name}"


def doubled(path: Path) -> str:
    return f"{path.parent}//./{path.name}"


def symbolic_link(path: Path) -> str:
    link = path.with_name("link.mp4")
    link.symlink_to(path)
    return str(link)


def hard_link(path: Path) -> str:
    link = path.with_name("second.mp4")
    os.link(path, link)
    return str(link)


def linked_folder(path: Path) -> str:
    link = path.parent.parent / "linked"
    link.symlink_to(path.parent)
    return str(link / path.name)


def link_to_a_link(path: Path) -> str:
    return symbolic_link(Path(linked_folder(path)))


def url(path: Path) -> str:
    return path.as_uri()


def encoded_url(path: Path) -> str:
    return "file://" + "".join(f"%{letter:02X}" for letter in os.fsencode(path)).replace("%2F", "/")


def localhost_url(path: Path) -> str:
    return f"FILE://localhost{path}"


SPELLINGS = [
    same_path,
    relative,
    roundabout,
    doubled,
    symbolic_link,
    hard_link,
    linked_folder,
    link_to_a_link,
    url,
    encoded_url,
    localhost_url,
]


@posix
@pytest.mark.parametrize("spelled", SPELLINGS)
@pytest.mark.parametrize("side", ["input", "output"])
def test_an_input_under_another_name_is_protected(
    run: Run, make_clip: MakeClip, tmp_path: Path, spelled: Callable[[Path], str], side: str
) -> None:
    (tmp_path / "clips" / "sub").mkdir(parents=True)
    clip = make_clip("clips/in.mp4")
    other = spelled(clip)
    source, output = (other, clip) if side == "input" else (clip, other)
    for option in ("-o", "--json"):
        with unharmed(clip):
            result = run("video", source, option, output, "--overwrite")
        assert result.code in (2, 5), result.err
        assert result.error
    assert not parts_of(clip)


@posix
@pytest.mark.parametrize("option", ["-o", "--labels", "--json"])
def test_every_kind_of_output_is_refused(
    run: Run, make_clip: MakeClip, tmp_path: Path, option: str
) -> None:
    clip = make_clip("in.mkv")
    (tmp_path / "link.mkv").symlink_to(clip)
    for output in (clip, tmp_path / "link.mkv"):
        with unharmed(clip):
            result = run("video", clip, option, output, "--overwrite")
        assert result.code == 2
        assert "is the input itself" in result.error


def test_the_model_is_protected_too(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    clip, model = make_clip("in.mp4"), tmp_path / "model.safetensors"
    model.write_bytes(b"weights")
    with unharmed(model):
        result = run("video", clip, "--json", model, "--model", model, "--overwrite")
    assert result.code == 2
    assert "is the input itself" in result.error


def test_bench_protects_its_input(run: Run, make_clip: MakeClip) -> None:
    clip = make_clip("in.mp4")
    with unharmed(clip):
        assert run("bench", "--input", clip, "--json", clip).code == 2


@posix
def test_standard_input_and_output_are_protected_too(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("in.mkv", ticks=range(5))
    with unharmed(clip), clip.open("rb") as file:
        with start("video", "-", "-o", clip, "--overwrite", stdin=file) as process:
            _, errors = process.communicate(timeout=60)
        assert process.returncode in (2, 5)
        assert "is the input itself" in errors
    with unharmed(clip), clip.open("ab") as file:  # as `>> in.mkv`
        with start("video", clip, "-o", "-", stdout=file) as process:
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 5
        assert "standard output is the input itself" in errors


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


# --- pictures ---


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


# --- batches ---


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
    from contextlib import nullcontext
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


# --- cameras and windows ---


def test_a_recording_never_replaces_the_file_being_played(
    run: Run, make_clip: MakeClip, tmp_path: Path
) -> None:
    clip = make_clip("in.mp4", ticks=range(3))
    with unharmed(clip):
        for source in (clip, clip.as_uri()):
            result = run("camera", source, "--no-display", "-o", clip, "--overwrite")
            assert result.code == 2, result.err
            assert "is the input itself" in result.error


def test_snapshots_and_recordings_of_one_second_get_separate_names(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtseg.controls import Controls
    from rtseg.settings import ViewSettings
    from rtseg.sources import open_source
    from rtseg.wiring import wire

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda words: words.replace("%Y%m%d-%H%M%S", "now"))
    source = open_source(make_clip("in.mkv"))
    live = wire(source, StandInSegmenter(), [], view=ViewSettings())
    controls = Controls(
        live, record=lambda name: open_sink(name, settings=EncodeSettings(overwrite=True))
    )
    (tmp_path / "rtseg-now.mp4").write_bytes(b"somebody's")
    for number in range(3):
        controls.view.last_picture = picture(number)
        controls.handle("snapshot")
    controls.handle("record")
    controls.handle("record")
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"rtseg-now.png", "rtseg-now-2.png", "rtseg-now-3.png"}
    read = [np.asarray(Pictures.open(tmp_path / name)) for name in sorted(names)]
    assert len({array.tobytes() for array in read}) == 3
    assert (tmp_path / "rtseg-now.mp4").read_bytes() == b"somebody's"
    source.close()


# --- sinks by themselves, as a program of one's own uses them ---

INFO = SourceInfo(name="t", width=64, height=48, time_base=Fraction(1, 30), frame_rate=Fraction(30))


def write_some(sink: Sink, first: int, count: int) -> None:
    for index in range(first, first + count):
        image = picture(index)
        frame = Frame(image=image, index=index, pts=index, time_base=INFO.time_base)
        sink.write(frame, Segmentation(labels=image[..., 0] * 0, label_set=HELEN), image)


def finish(sink: Sink) -> None:
    write_some(sink, 7, 3)
    sink.close("finished")


def make_sink(kind: str, folder: Path, *, overwrite: bool) -> tuple[Sink, Path]:
    """A sink, and the (first) file that it makes."""
    settings = EncodeSettings(overwrite=overwrite)
    if kind == "json":
        path = folder / "out.jsonl"
        return JsonLinesSink(str(path), overwrite=overwrite), path
    if kind in ("labels.mkv", "labels.npz"):
        return open_labels_sink(str(folder / kind), overwrite=overwrite), folder / kind
    if kind == "labels":
        path = folder / "labels"
        return open_labels_sink(str(path), overwrite=overwrite), path / "000000.png"
    if kind == "pictures":
        path = folder / "%06d.png"
        return open_sink(str(path), settings=settings), folder / "000000.png"
    return open_sink(str(folder / kind), settings=settings, threads=1), folder / kind


KINDS = ["out.mp4", "out.mkv", "out.webm", "pictures", "labels", "labels.mkv", "labels.npz", "json"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_no_sink_replaces_a_file_being_read(tmp_path: Path, kind: str, overwrite: bool) -> None:
    sink, path = make_sink(kind, tmp_path, overwrite=overwrite)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"read")
    info = SourceInfo(
        name="t", width=64, height=48, time_base=INFO.time_base, read_files=file_ids([path])
    )
    with unharmed(path):
        with pytest.raises(SinkError, match="never replaced"):
            sink.open(info, width=64, height=48)
        sink.close("failed")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_that_appears_at_the_outputs_path_is_kept(tmp_path: Path, kind: str) -> None:
    """Moved there while the run goes on: still what is read."""
    sink, path = make_sink(kind, tmp_path, overwrite=True)
    source = tmp_path / "source.bin"
    source.write_bytes(b"read")
    info = SourceInfo(
        name="t", width=64, height=48, time_base=INFO.time_base, read_files=file_ids([source])
    )
    sink.open(info, width=64, height=48)
    path.parent.mkdir(exist_ok=True)
    source.replace(path)
    with unharmed(path):
        with pytest.raises(SinkError, match="never replaced"):
            finish(sink)
        if "pictures" in kind or kind == "labels":
            sink.close("failed")


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_writer_without_overwrite_is_refused(tmp_path: Path, kind: str) -> None:
    first, path = make_sink(kind, tmp_path, overwrite=False)
    second, _ = make_sink(kind, tmp_path, overwrite=False)
    first.open(INFO, width=64, height=48)
    with pytest.raises(OutputExistsError, match="another run is writing it"):
        second.open(INFO, width=64, height=48)
    write_some(first, 0, 5)
    second.close("failed")
    first.close("finished")
    assert path.exists()
    assert not parts_of(path)
    third, _ = make_sink(kind, tmp_path, overwrite=True)
    third.open(INFO, width=64, height=48)  # the lock is free again
    third.close("failed")


@pytest.mark.parametrize("kind", KINDS)
def test_two_writers_without_locks_do_no_damage(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cache folder, or two machines on one network share: the later one is refused."""

    def refuse() -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "lock_folder", refuse)
    first, path = make_sink(kind, tmp_path, overwrite=False)
    second, _ = make_sink(kind, tmp_path, overwrite=False)
    for sink in (first, second):
        sink.open(INFO, width=64, height=48)
    write_some(first, 0, 5)
    first.close("finished")
    with unharmed(path), pytest.raises(OutputExistsError, match="created by another program"):
        finish(second)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("pictures", "labels")])
def test_of_two_writers_with_overwrite_the_last_to_finish_wins(tmp_path: Path, kind: str) -> None:
    first, path = make_sink(kind, tmp_path, overwrite=True)
    second, _ = make_sink(kind, tmp_path, overwrite=True)
    for sink in (first, second):
        sink.open(INFO, width=64, height=48)
    write_some(first, 0, 3)
    write_some(second, 0, 4)
    write_some(first, 3, 3)
    first.close("finished")
    shorter = path.read_bytes()
    write_some(second, 4, 5)
    second.close("finished")
    assert path.read_bytes() != shorter
    assert not parts_of(path)
    if kind == "json":
        assert len(path.read_text().splitlines()) == 1 + 9
    elif kind != "labels.npz":
        assert len(frame_times(path)) == 9


@posix
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_two_commands_at_once_do_no_damage(
    make_clip: MakeClip, tmp_path: Path, overwrite: tuple[str, ...]
) -> None:
    clip, out = make_clip("in.mkv", ticks=range(60)), tmp_path / "out.mp4"
    with unharmed(clip):
        runs = [start("video", clip, "-o", out, *overwrite, seconds=0.01) for _ in range(3)]
        ends = [process.communicate(timeout=90)[1] for process in runs]
    codes = sorted(process.returncode for process in runs)
    assert codes == ([0, 0, 0] if overwrite else [0, 5, 5]), ends
    assert all("Traceback" not in errors for errors in ends)
    assert len(frame_times(out)) == 60
    assert not parts_of(out)


def test_a_picture_that_appears_during_the_run_is_kept(tmp_path: Path) -> None:
    sink = open_sink(str(tmp_path / "%03d.png"))
    sink.open(INFO, width=64, height=48)
    write_some(sink, 0, 2)
    (tmp_path / "002.png").write_bytes(b"somebody's")
    with unharmed(tmp_path / "002.png"), pytest.raises(OutputExistsError, match="is kept"):
        write_some(sink, 2, 1)
    sink.close("failed")


@pytest.mark.parametrize("patterns", [("%06d.png", ""), ("%06d.png",) * 2, ("%06d.png", "./")])
def test_views_and_labels_in_one_folder_are_refused(
    run: Run, make_clip: MakeClip, tmp_path: Path, patterns: tuple[str, str]
) -> None:
    clip, out = make_clip("in.mp4", ticks=range(3)), tmp_path / "out"
    out.mkdir()
    views, labels = (f"{out}/{pattern}" for pattern in patterns)
    result = run("video", clip, "-o", views, "--labels", labels, "--overwrite")
    assert result.code in (2, 5)
    assert not list(out.iterdir())


@posix
def test_an_output_that_is_a_device_is_refused(
    run: Run, make_clip: MakeClip, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    result = run("video", make_clip("in.mkv", ticks=range(2)), "-o", pipe, "--overwrite")
    assert result.code == 5
    assert "is a device or a pipe" in result.error
    assert pipe.is_fifo()


def test_the_demo_replaces_only_its_own_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"mine")
    (tmp_path / "x-input.mp4").write_bytes(b"mine")
    with unharmed(tmp_path):
        for name in ("holiday.mp4", "x.mp4"):
            result = run("demo", "-o", tmp_path / name)
            assert result.code == 5
            assert "exists; --overwrite replaces it" in result.error


@posix
def test_an_exported_model_does_not_replace_its_checkpoint(run: Run, tmp_path: Path) -> None:
    model = Path(rtseg.__file__).parent / "weights" / "face-parts.safetensors"
    (tmp_path / "model.safetensors").write_bytes(model.read_bytes())
    (tmp_path / "model.onnx").symlink_to(tmp_path / "model.safetensors")
    with unharmed(tmp_path):
        result = run("engine", "export", tmp_path / "model.safetensors")
    assert result.code == 2
    assert "is the model itself" in result.error


def test_predictions_of_training_do_not_replace_their_pictures(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", ["a.png"])
    checkpoint = Path(rtseg.__file__).parent / "weights" / "face-parts.safetensors"
    words = ["predict", str(checkpoint), str(photos / "a.png"), "-o", str(photos)]
    with unharmed(photos), pytest.raises(SinkError, match="is one of the inputs"):
        training.cli.main(words, standalone_mode=False)

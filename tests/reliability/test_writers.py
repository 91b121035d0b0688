"""Two writers of one output, and files that appear while it is written, are never damaged."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from rtseg.errors import OutputExistsError, SinkError
from rtseg.frames import Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.media.info import SourceInfo
from rtseg.settings import EncodeSettings
from rtseg.sinks import Sink, open_sink, partial_file
from rtseg.sinks.json_lines import JsonLinesSink
from rtseg.sinks.labels.images import open_labels_sink
from rtseg.system import files
from rtseg.system.files import file_ids
from tests.cli.conftest import run as run
from tests.reliability.command import start
from tests.reliability.survival import posix, unharmed
from tests.support.clips import MakeClip, frame_times, parts_of, picture

pytestmark = pytest.mark.usefixtures("no_network")


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


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_that_another_run_finishes_just_before_the_lock_is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, path = make_sink(kind, tmp_path, overwrite=False)
    second, _ = make_sink(kind, tmp_path, overwrite=False)
    first.open(INFO, width=64, height=48)

    def lock_once_it_is_free(target: Path) -> object:
        write_some(first, 0, 5)
        first.close("finished")
        return files.try_lock(target)

    monkeypatch.setattr(partial_file, "try_lock", lock_once_it_is_free)
    with pytest.raises(OutputExistsError, match="exists"):
        second.open(INFO, width=64, height=48)
    second.close("failed")
    monkeypatch.undo()
    assert path.exists()
    assert not parts_of(path)
    for written in path.parent.iterdir():
        written.unlink()
    third, _ = make_sink(kind, tmp_path, overwrite=False)
    third.open(INFO, width=64, height=48)  # the refused run has let go of the lock
    third.close("failed")


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

"""Many videos in one run: a bad one stops nothing, and an interrupted run can be taken up again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import rtseg.backends
from rtseg.cli.several import Job, plan_batch, run_batch
from rtseg.errors import ModelError, SettingError, SinkError, SourceError
from rtseg.settings import EncodeSettings
from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from tests.support.clips import MakeClip, frame_times, part_of


def jobs(tmp_path: Path, *names: str) -> list[Job]:
    return plan_batch(
        names,
        output=str(tmp_path / "out"),
        labels=None,
        records=None,
        encode=EncodeSettings(),
        resume=False,
    )


def test_a_bad_file_does_not_stop_the_rest(
    run: Run, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [make_clip(name, ticks=range(3)) for name in ("a.mp4", "c.avi")]
    cut = make_clip("b.mp4")
    cut.write_bytes(cut.read_bytes()[:700])
    opened: list[Any] = []
    open_backend = rtseg.backends.open_backend

    def counted(*arguments: Any, **options: Any) -> Any:
        opened.append(options)
        return open_backend(*arguments, **options)

    monkeypatch.setattr(rtseg.backends, "open_backend", counted)
    folder = tmp_path / "out"
    result = run("video", good[0], cut, good[1], tmp_path / "none.mp4", "-o", folder)
    assert result.code == 3
    assert len(opened) == 1  # the model is loaded once
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "c.mkv"]
    assert len(frame_times(folder / "a.mp4")) == 3
    assert "2 of 4 videos done, 2 failed" in result.err
    assert "failed: " + str(cut) in result.err
    assert "none.mp4: no such file" in result.err
    assert "Traceback" not in result.err


def test_resume_skips_finished_files_and_redoes_unfinished_ones(
    run: Run, make_clip: MakeClip, tmp_path: Path
) -> None:
    clips = [make_clip(name, ticks=range(3)) for name in ("a.mp4", "b.mp4")]
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"finished before")
    shutil.copy(clips[0], folder / "b.part.mp4")
    result = run("video", *clips, "-o", folder, "--json", folder)
    assert result.code == 5  # a.mp4 exists, and that is not to be replaced
    assert "1 of 2 videos done, 1 failed" in result.err
    (folder / "a.jsonl").touch()
    (folder / "b.jsonl").unlink()
    result = run("video", *clips, "-o", folder, "--json", folder, "--resume")
    assert result.code == 0, result.err
    assert "1 of 2 videos done, 1 finished before" in result.err
    assert (folder / "a.mp4").read_bytes() == b"finished before"
    assert len(frame_times(folder / "b.mp4")) == 3
    assert [path.name for path in folder.glob("*.part.*")] == ["b.part.mp4"]  # kept, whose ever
    assert "b.part.mp4: left by an earlier run that was interrupted; kept" in result.err


def test_an_interrupted_file_counts_as_unfinished(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    planned = jobs(tmp_path, "a.mp4", "b.mp4", "c.mp4")

    def run_one(job: Job) -> int:
        job.files[0].parent.mkdir(exist_ok=True)
        job.files[0].touch()
        return 130 if job.source == "b.mp4" else 0

    assert run_batch(planned, run_one, resume=False, quiet=False) == 130
    part = part_of(tmp_path / "out" / "b.mp4")
    assert {path.name for path in part.parent.iterdir()} == {"a.mp4", part.name}
    assert [job.is_finished for job in planned] == [True, False, False]
    assert "1 of 3 videos done, 2 left; --resume continues with them" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(SourceError("bad"), 3), (SinkError("bad"), 5), (ZeroDivisionError("x"), 1)]
)
def test_the_exit_code_is_the_first_failures(tmp_path: Path, error: Exception, code: int) -> None:
    ran = []

    def run_one(job: Job) -> int:
        ran.append(job.source)
        if job.source == "a.mp4":
            raise error
        return 0

    assert run_batch(jobs(tmp_path, "a.mp4", "b.mp4"), run_one, resume=False, quiet=True) == code
    assert ran == ["a.mp4", "b.mp4"]


def test_an_error_that_affects_all_inputs_ends_the_run(tmp_path: Path) -> None:
    def run_one(job: Job) -> int:
        raise ModelError("is none")

    with pytest.raises(ModelError):
        run_batch(jobs(tmp_path, "a.mp4", "b.mp4"), run_one, resume=False, quiet=True)


def test_names_and_containers_of_outputs(tmp_path: Path) -> None:
    planned = jobs(tmp_path, "x/a.mp4", "b.MOV", "c.avi", "http://u:p@host/d.ts?token=x")
    names = [job.files[0].name for job in planned]
    assert names == ["a.mp4", "b.mov", "c.mkv", "d.ts"]


@pytest.mark.parametrize(
    ("names", "places", "says"),
    [
        (("a.mp4", "b/a.mp4"), {"output": "out"}, "give each its own name"),
        (("a.mp4", "a.mp4"), {"output": "out"}, "named twice"),
        (("a.mp4", "b.mp4"), {"output": "out.mp4"}, "is no folder"),
        (("a.mp4", "b.mp4"), {"output": "-"}, "is no folder"),
        (("a.mp4", "b.mp4"), {}, "no output"),
    ],
)
def test_impossible_batches_are_refused_before_the_start(
    names: tuple[str, ...], places: dict[str, str], says: str
) -> None:
    with pytest.raises(SettingError, match=says):
        plan_batch(
            names,
            output=places.get("output"),
            labels=None,
            records=None,
            encode=EncodeSettings(),
            resume=False,
        )


def test_an_input_in_the_output_folder_is_not_overwritten(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    clips = [str(make_clip(name)) for name in ("a.mp4", "b.mp4")]
    with pytest.raises(SettingError, match="is the input itself"):
        plan_batch(
            clips,
            output=str(tmp_path),
            labels=None,
            records=None,
            encode=EncodeSettings(),
            resume=False,
        )

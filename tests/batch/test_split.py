"""Long files in pieces: the joined files equal an uncut run's, except where tracking starts."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from rtseg.batch import BatchSettings, plan_tasks, read_results, run_batch
from rtseg.batch.cutting import cut
from rtseg.batch.joining import join
from rtseg.batch.tasks import RECORDS_FOLDER
from rtseg.batch.worker import run_task
from rtseg.errors import SettingError, SinkError
from rtseg.settings import ReadSettings, ViewSettings
from rtseg.sources.synthetic import MovingFaceSource
from rtseg.system.files import is_part
from tests.batch.test_driver import HereRunner
from tests.support.clips import make_clip, picture

MINUTE = 0.4 / 60
"""Pieces of .4 seconds, which are ten frames."""


@pytest.fixture
def everything(settings: BatchSettings) -> BatchSettings:
    """Pictures too; no smoothing, which has a memory."""
    return dataclasses.replace(
        settings,
        pictures=True,
        view=ViewSettings(view="none"),
        faces=dataclasses.replace(settings.faces, smoothing=0.0),
    )


def long_clip(path: Path, count: int = 22, **changes: object) -> Path:
    """22 frames at 25 per second, with a key frame every five, and sound."""
    fields: dict[str, object] = {
        "ticks": range(count),
        "images": [picture(number, 96, 64) for number in range(count)],
        "width": 96,
        "height": 64,
        "options": {"g": "5", "keyint_min": "5", "sc_threshold": "0"},
        "audio": "aac",
        "audio_seconds": count / 25,
        "metadata": {"title": "a long one"},
        "chapters": ((0.0, 0.5, "one"), (0.5, 0.88, "two")),
    }
    return make_clip(path, **(fields | changes))  # type: ignore[arg-type]


def pictures_of(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    with av.open(str(path)) as file:
        return [
            (frame.pts * frame.time_base, frame.to_ndarray(format="gray"))
            for frame in file.decode(video=0)
        ]


def sound_of(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as file:
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in file.demux(audio=0)
            if packet.size
        ]


def run(
    clip: Path, settings: BatchSettings, folder: Path, *, split: float | None
) -> tuple[HereRunner, dict[str, object]]:
    runner = HereRunner()
    tasks = plan_tasks([str(clip)], folder=str(folder), settings=settings)
    report = run_batch(tasks, runner, folder=str(folder), split_minutes=split)
    assert report.exit_code == 0, report.results
    (row,) = read_results(str(folder))
    return runner, row


@pytest.mark.parametrize("suffix", [".mp4", pytest.param(".mkv", marks=pytest.mark.slow)])
def test_joined_pieces_equal_the_uncut_runs_files(
    everything: BatchSettings, tmp_path: Path, suffix: str
) -> None:
    clip = long_clip(tmp_path / f"long{suffix}")
    _, whole = run(clip, everything, tmp_path / "whole", split=None)
    runner, joined = run(clip, everything, tmp_path / "joined", split=MINUTE)
    assert len(runner.ran) == 4, "three pieces, and their joining"
    for name in ("frames", "pixels", "faces", "face_frames", "status", "exit_code"):
        assert joined[name] == whole[name], name
    one, other = (tmp_path / folder / f"long{suffix}" for folder in ("whole", "joined"))
    before, after = pictures_of(one), pictures_of(other)
    assert [time for time, _ in after] == [time for time, _ in before]
    differences = [
        np.abs(a.astype(int) - b).mean() for (_, a), (_, b) in zip(before, after, strict=True)
    ]
    assert max(differences) < 2, "of the encoder's own"
    assert sound_of(other) == sound_of(one)
    with av.open(str(one)) as first, av.open(str(other)) as second:
        assert second.metadata["title"] == first.metadata["title"] == "a long one"
        assert len(second.streams) == len(first.streams)
        assert second.chapters() == first.chapters()
        assert second.duration == first.duration
        assert abs(second.streams.video[0].frames - first.streams.video[0].frames) == 0
    labels = [pictures_of(tmp_path / folder / "long.labels.mkv") for folder in ("whole", "joined")]
    assert len(labels[0]) == 22
    for (time, expected), (found_time, label_map) in zip(*labels, strict=True):
        assert found_time == time
        assert np.array_equal(label_map, expected)
    lines = [
        (tmp_path / folder / "long.jsonl").read_text().splitlines()
        for folder in ("whole", "joined")
    ]
    assert [json.loads(line) for line in lines[1]] == [json.loads(line) for line in lines[0]]
    left = [path for path in (tmp_path / "joined" / RECORDS_FOLDER).rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["long.json"], "pieces are taken away"


def test_a_tracked_face_is_found_again_after_a_cut(settings: BatchSettings, tmp_path: Path) -> None:
    """A piece finds the face at once; its labels equal the uncut run's except for smoothing."""
    with MovingFaceSource(width=320, height=180, frame_count=300) as source:
        images = [source.image(60 + number) for number in range(36)]
    clip = make_clip(
        tmp_path / "face.mp4",
        ticks=range(36),
        images=images,
        options={"g": "12", "keyint_min": "12", "sc_threshold": "0", "crf": "12"},
    )
    run(clip, settings, tmp_path / "whole", split=None)
    runner, _ = run(clip, settings, tmp_path / "joined", split=0.48 / 60)
    assert len(runner.ran) == 4, "three pieces of twelve frames, and their joining"
    whole, joined = (
        [labels for _, labels in pictures_of(tmp_path / folder / "face.labels.mkv")]
        for folder in ("whole", "joined")
    )
    assert len(whole) == len(joined) == 36
    assert all(len(np.unique(labels)) > 5 for labels in joined), "a face in every frame"
    differing = [float((a != b).mean()) for a, b in zip(whole, joined, strict=True)]
    assert not any(differing[:12]), "the first piece is the uncut run's"
    assert max(differing) < 0.03, differing
    lines = (tmp_path / "joined" / "face.jsonl").read_text().splitlines()[1:]
    assert [len(json.loads(line)["faces"]) for line in lines] == [1] * 36


def test_finished_pieces_are_not_repeated(everything: BatchSettings, tmp_path: Path) -> None:
    clip = long_clip(tmp_path / "long.mp4")
    out = tmp_path / "out"
    tasks = plan_tasks([str(clip)], folder=str(out), settings=everything)

    class Interrupted(HereRunner):
        def results(self, tasks):  # type: ignore[no-untyped-def]
            for result in super().results(tasks):
                yield result
                if len(self.ran) == 2:
                    raise KeyboardInterrupt

    first = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        run_batch(tasks, first, folder=str(out), split_minutes=MINUTE)
    assert not (out / "long.mp4").exists()
    assert [row["status"] for row in read_results(str(out))] == ["left"]
    again = HereRunner()
    report = run_batch(tasks, again, folder=str(out), split_minutes=MINUTE)
    assert report.exit_code == 0
    assert len(again.ran) == 2, "the third piece, and the joining"
    assert len(pictures_of(out / "long.mp4")) == 22
    once_more = HereRunner()
    run_batch(tasks, once_more, folder=str(out), split_minutes=MINUTE)
    assert once_more.ran == []


@pytest.mark.parametrize("kind", ["pictures", "labels", "records", "coco", "numbered"])
@pytest.mark.parametrize(("now", "words"), [(17, "hold more frames"), (26, "hold fewer frames")])
def test_pieces_of_another_input_are_not_joined(
    everything: BatchSettings, tmp_path: Path, kind: str, now: int, words: str
) -> None:
    settings = dataclasses.replace(
        everything,
        **{name: name == kind for name in ("pictures", "labels", "records", "coco", "numbered")}
        | ({"pictures": True} if kind == "numbered" else {}),
    )
    clip = long_clip(tmp_path / "long.mp4")
    (task,) = plan_tasks([str(clip)], folder=str(tmp_path / "out"), settings=settings)
    pieces = [task.of_piece(piece) for piece in cut(task, minutes=MINUTE)]
    assert [run_task(piece).status for piece in pieces] == ["done"] * 3
    parts = {
        kind: [tmp_path / "out" / piece.files[kind] for piece in pieces] for kind in task.files
    }
    other = long_clip(tmp_path / "other.mp4", count=now)
    (tmp_path / "joined").mkdir()
    with pytest.raises(SinkError, match=words):
        join(task, str(other), parts, tmp_path / "joined")
    assert not [
        path for path in (tmp_path / "joined").iterdir() if path.is_file() and not is_part(path)
    ]


def test_a_part_is_cut_within_its_bounds(everything: BatchSettings, tmp_path: Path) -> None:
    clip = long_clip(tmp_path / "long.mp4")
    part = dataclasses.replace(everything, read=ReadSettings(start=0.2, end=0.8))
    _, whole = run(clip, part, tmp_path / "whole", split=None)
    runner, joined = run(clip, part, tmp_path / "joined", split=MINUTE)
    assert len(runner.ran) == 3
    assert joined["frames"] == whole["frames"] == 15
    before, after = (pictures_of(tmp_path / folder / "long.mp4") for folder in ("whole", "joined"))
    assert [time for time, _ in after] == [time for time, _ in before]
    assert sound_of(tmp_path / "joined/long.mp4") == sound_of(tmp_path / "whole/long.mp4")


def test_a_folder_of_fsspec_can_store_pieces(everything: BatchSettings, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    clip = long_clip(tmp_path / "long.mp4", count=14)
    far = "memory://pieces"
    tasks = plan_tasks([str(clip)], folder=far, settings=everything)
    assert run_batch(tasks, HereRunner(), folder=far, split_minutes=MINUTE).exit_code == 0
    memory = fsspec.filesystem("memory")
    assert len([name for name in memory.find("/pieces") if "/pieces/.rtseg" in name]) == 1
    fetched = tmp_path / "fetched.mp4"
    fetched.write_bytes(memory.cat_file("/pieces/long.mp4"))
    assert len(pictures_of(fetched)) == 14


def test_a_failed_piece_fails_only_its_input(
    everything: BatchSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import rtseg.process

    real = rtseg.process.open_run

    def broken(source: str, *rest: object, **more: object) -> object:
        read = more["read"]
        if "long" in source and read.start and read.end:  # type: ignore[attr-defined]
            raise TypeError("nothing to add")
        return real(source, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(rtseg.process, "open_run", broken)
    clips = [long_clip(tmp_path / "long.mp4"), long_clip(tmp_path / "short.mp4", count=8)]
    out = tmp_path / "out"
    tasks = plan_tasks([str(clip) for clip in clips], folder=str(out), settings=everything)
    report = run_batch(tasks, HereRunner(), folder=str(out), split_minutes=MINUTE)
    assert [(r.name, r.status) for r in report.results] == [("long", "failed"), ("short", "done")]
    assert "nothing to add" in report.results[0].message
    assert not (out / "long.mp4").exists()


def test_cuts_are_at_key_frames(everything: BatchSettings, tmp_path: Path) -> None:
    clip = long_clip(tmp_path / "long.mp4")

    def bounds(minutes: float, settings: BatchSettings = everything) -> list[object]:
        (task,) = plan_tasks([str(clip)], folder=str(tmp_path / "out"), settings=settings)
        pieces = cut(task, minutes=minutes)
        assert [piece.number for piece in pieces] == list(range(len(pieces)))
        assert [piece.end for piece in pieces[:-1]] == [piece.start for piece in pieces[1:]]
        return [piece.start for piece in pieces]

    assert bounds(0.4 / 60) == [None, 0.4, 0.8]
    assert bounds(0.3 / 60) == [None, 0.4, 0.8], "at the key frame after"
    assert bounds(2.0) == []
    transparent = dataclasses.replace(everything, view=ViewSettings(view="cutout"))
    assert bounds(0.4 / 60, transparent) == []


def test_inputs_that_cannot_be_cut_stay_whole(
    everything: BatchSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = long_clip(tmp_path / "long.ts", audio=None, chapters=())
    runner, row = run(clip, everything, tmp_path / "out", split=MINUTE)
    assert runner.ran == ["long"]
    assert row["frames"] == 22
    assert "is not split: its clock may jump" in caplog.text


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan")])
def test_an_invalid_length_is_refused(
    everything: BatchSettings, tmp_path: Path, minutes: float
) -> None:
    with pytest.raises(SettingError, match="`split_minutes`: found"):
        run_batch([], HereRunner(), folder=str(tmp_path), split_minutes=minutes)

"""A batch can write everything that `rtseg video` writes: whole, in pieces, on any storage."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from rtseg.batch import BatchSettings, plan_tasks, read_results, run_batch
from rtseg.batch.storage import open_storage
from rtseg.batch.worker import run_task
from rtseg.errors import SettingError
from rtseg.settings import ViewSettings
from tests.batch.test_driver import HereRunner
from tests.batch.test_split import MINUTE, long_clip
from tests.cli.conftest import Run
from tests.cli.conftest import run as run


@pytest.fixture
def plain(settings: BatchSettings) -> BatchSettings:
    """Unmodified pictures, without smoothing, which has a memory."""
    return dataclasses.replace(
        settings,
        pictures=True,
        records=False,
        labels=False,
        view=ViewSettings(view="none"),
        faces=dataclasses.replace(settings.faces, smoothing=0.0),
    )


def planes(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray() for frame in file.decode(video=0)]


def twice(clip: Path, settings: BatchSettings, folder: Path) -> list[dict[str, Any]]:
    """Process it whole and in pieces; return both rows."""
    rows = []
    for name, split in (("whole", None), ("joined", MINUTE)):
        out = folder / name
        tasks = plan_tasks([str(clip)], folder=str(out), settings=settings)
        report = run_batch(tasks, HereRunner(), folder=str(out), split_minutes=split)
        assert report.exit_code == 0, report.results
        rows += read_results(str(out))
    return rows


def test_numbered_pictures_are_equal_whole_and_in_pieces(
    plain: BatchSettings, tmp_path: Path
) -> None:
    settings = dataclasses.replace(plain, numbered=True)
    whole, joined = twice(long_clip(tmp_path / "long.mp4"), settings, tmp_path)
    names = [f"{number:06d}.png" for number in range(22)]
    for folder in ("whole", "joined"):
        assert sorted(p.name for p in (tmp_path / folder / "long").iterdir()) == names
    for name in names:
        one, other = (
            np.asarray(Image.open(tmp_path / folder / "long" / name))
            for folder in ("whole", "joined")
        )
        assert np.array_equal(one, other)
    assert joined["checksums"] == whole["checksums"]
    assert list(whole["checksums"]) == ["long"]


def test_a_soft_mask_is_equal_whole_and_in_pieces(plain: BatchSettings, tmp_path: Path) -> None:
    settings = dataclasses.replace(plain, alpha=("skin", "hair"), alpha_bits=16)
    twice(long_clip(tmp_path / "long.mp4"), settings, tmp_path)
    one, other = (planes(tmp_path / folder / "long.mkv") for folder in ("whole", "joined"))
    assert len(one) == 22
    assert one[0].dtype == np.uint16
    assert np.array_equal(one, other)
    with av.open(str(tmp_path / "joined" / "long.mkv")) as file:
        assert json.loads(file.metadata["RTSEG_ALPHA"]) == ["skin", "hair"]


def test_coco_is_equal_whole_and_in_pieces(
    plain: BatchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def annotated(_segmentation: object, *, image_id: int, first_id: int) -> list[dict[str, Any]]:
        # as many as the image's number in its file, so that ids must be continued
        return [
            {"id": first_id + n, "image_id": image_id, "category_id": 1, "area": 7 + n}
            for n in range(2)
        ]

    monkeypatch.setattr("rtseg.sinks.coco.coco_annotations", annotated)
    settings = dataclasses.replace(plain, pictures=False, coco=True)
    twice(long_clip(tmp_path / "long.mp4"), settings, tmp_path)
    one, other = (
        json.loads((tmp_path / folder / "long.json").read_text()) for folder in ("whole", "joined")
    )
    assert len(one["images"]) == 22
    assert len(one["annotations"]) == 44
    assert other == one


def test_an_effect_is_drawn(plain: BatchSettings, tmp_path: Path) -> None:
    clip = str(long_clip(tmp_path / "long.mp4", count=3))
    pictures = {}
    for name, effects in (("plain", ()), ("grey", ("background=#808080",))):
        settings = dataclasses.replace(plain, numbered=True, effects=effects)
        (task,) = plan_tasks([clip], folder=str(tmp_path / name), settings=settings)
        assert run_task(task).exit_code in (0, 2)
        pictures[name] = run_task(task)
    # a model without a neck has no background to replace, which is the task's own error
    if pictures["grey"].status == "done":
        one, other = (
            np.asarray(Image.open(tmp_path / name / "long" / "000000.png")).astype(int)
            for name in pictures
        )
        assert np.abs(one - other).max() > 50
    else:
        assert "background" in pictures["grey"].message


def test_pictures_can_be_written_to_a_folder_of_fsspec(
    plain: BatchSettings, tmp_path: Path
) -> None:
    fsspec = pytest.importorskip("fsspec")
    settings = dataclasses.replace(plain, numbered=True)
    clip = long_clip(tmp_path / "long.mp4", count=14)
    far = "memory://pictures"
    tasks = plan_tasks([str(clip)], folder=far, settings=settings)
    assert run_batch(tasks, HereRunner(), folder=far, split_minutes=MINUTE).exit_code == 0
    memory = fsspec.filesystem("memory")
    shown = [name for name in memory.find("/pictures") if "/.rtseg" not in name]
    assert len([name for name in shown if name.endswith(".png")]) == 14
    assert not [name for name in memory.find("/pictures") if "/pieces/" in name]
    again = HereRunner()
    run_batch(tasks, again, folder=far)
    assert again.ran == []


def test_a_folder_of_pictures_replaces_an_older_one(plain: BatchSettings, tmp_path: Path) -> None:
    """With other settings the same name is written again, and no old picture remains."""
    out = tmp_path / "out"
    settings = dataclasses.replace(plain, numbered=True)
    clip = str(long_clip(tmp_path / "long.mp4", count=4))
    for end in (None, 0.1):
        read = dataclasses.replace(settings.read, end=end)
        tasks = plan_tasks(
            [clip], folder=str(out), settings=dataclasses.replace(settings, read=read)
        )
        assert run_batch(tasks, HereRunner(), folder=str(out)).exit_code == 0
    assert sorted(path.name for path in (out / "long").iterdir()) == [
        "000000.png", "000001.png", "000002.png"
    ]  # fmt: skip
    assert not list(out.rglob("*.replaced"))
    storage = open_storage(str(out))
    storage.remove("long")
    assert not storage.exists("long")


@pytest.mark.parametrize(
    "options",
    [{"pictures": False}, {"pictures": False, "labels": True, "alpha": ("hair",)},
     {"pictures": False, "labels": True, "numbered": True}],
)  # fmt: skip
def test_settings_without_an_output_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        BatchSettings(**options)


def test_the_command_accepts_the_options_of_video(run: Run, tmp_path: Path) -> None:
    clip = long_clip(tmp_path / "long.mp4", count=3)
    words = ("--frames", "--coco", "--labels", "--json", "--effect", "skin=0.3", "--no-audio")
    result = run("batch", clip, "-o", tmp_path / "out", *words, "--dry-run")
    assert result.code == 0, result.err
    assert result.out == f"{clip} -> long, long.labels.mkv, long.jsonl, long.json\n"
    result = run("batch", clip, "-o", tmp_path / "out", "--alpha", "hair", "--dry-run")
    assert result.out == f"{clip} -> long.mkv\n"
    result = run("batch", clip, "-o", tmp_path / "out", "--no-pictures", "--labels", "--frames")
    assert result.code == 2
    assert "--frames: writes numbered pictures, but pictures are turned off" in result.error


def test_results_are_not_inputs_of_the_next_run(run: Run, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    long_clip(clips / "b10.mp4", count=3)
    long_clip(clips / "b9.mp4", count=3)
    (clips / "done").mkdir()
    long_clip(clips / "done" / "b9.mp4", count=3)
    long_clip(clips / "c.1f0c9a3e.part.mp4", count=3)
    (clips / ".hidden").mkdir()
    long_clip(clips / ".hidden" / "d.mp4", count=3)
    result = run("batch", clips, "-o", clips / "done", "--dry-run")
    assert [line.split(" -> ")[0] for line in result.out.splitlines()] == [
        str(clips / "b9.mp4"),
        str(clips / "b10.mp4"),
    ]
    result = run("batch", clips, "-o", clips, "--no-pictures", "--labels", "--dry-run")
    assert result.code == 2
    assert "is an input too" in result.error


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_a_bad_file_is_named_once(run: Run, tmp_path: Path, content: bytes) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(content)
    result = run("batch", bad, "-o", tmp_path / "out", "--on", "local:1")
    assert result.code == 3
    (line,) = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert line.count("bad.mp4") == 1, line
    (row,) = read_results(str(tmp_path / "out"))
    assert str(row["message"]).count("bad.mp4") == 1

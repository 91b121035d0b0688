"""Effects, soft masks and feathers from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import FAST, Run

pytestmark = pytest.mark.usefixtures("own_folder")


def test_effects_change_the_picture_without_drawing_a_view(
    run: Run, portrait_clip: Path, tmp_path: Path
) -> None:
    def first(path: Path) -> np.ndarray:
        with av.open(str(path)) as container:
            return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)

    fine = ("--crf", "3", *FAST)
    assert run("video", portrait_clip, "plain.mp4", "--view", "none", *fine).code == 0
    assert run("video", portrait_clip, "hair.mp4", "--effect", "hair=#6a2c70", *fine).code == 0
    plain, hair = first(tmp_path / "plain.mp4"), first(tmp_path / "hair.mp4")
    changed = np.abs(plain - hair).max(2)
    assert changed[20:60, 120:150].mean() > 20  # hair
    assert changed[200:, :40].mean() < 4  # the flag
    assert changed[112:122, 130:140].mean() < 4  # the nose is not coloured
    result = run(
        "video", portrait_clip, "both.mp4", "--effect", "hair=purple", "--view", "mask", *fine
    )
    assert result.code == 0
    assert np.abs(first(tmp_path / "both.mp4") - hair)[112:122, 130:140].mean() > 20


def test_an_alpha_video_contains_the_soft_mask(
    run: Run, portrait_clip: Path, tmp_path: Path
) -> None:
    result = run(
        *("video", portrait_clip, "-o", "hair.mkv", "--alpha", "hair", "--alpha-bits", "16"),
        *("--labels", "ids", *FAST),
    )
    assert result.code == 0, result.err
    with av.open("hair.mkv") as container:
        planes = [p.to_ndarray(format="gray16le") / 65535 for p in container.decode(video=0)]
    assert len(planes) == 5
    for index, plane in enumerate(planes):
        with Image.open(tmp_path / "ids" / f"{index:06d}.png") as labels:
            is_hair = np.asarray(labels) == 10
        # a probability of half is rounded up or down to 16 bits
        assert is_hair[plane > 0.5001].all()
        assert (plane[is_hair] >= 0.4999).all()
        assert len(np.unique(plane)) > 100
    assert (
        "cannot hold a soft mask"
        in run("video", portrait_clip, "-o", "hair.mp4", "--alpha", "hair").error
    )
    assert "unknown class" in run("video", portrait_clip, "-o", "b.mkv", "--alpha", "beard").error
    assert (
        "--alpha: needs an output"
        in run("video", portrait_clip, "--json", "a.jsonl", "--alpha", "hair").error
    )


@pytest.mark.parametrize("place", ["file", "folder"])
def test_coco_and_json_can_be_written_together(
    run: Run, portrait_clip: Path, tmp_path: Path, place: str
) -> None:
    """Into files, or into a new folder, named after the input."""
    outputs = ("a.json", "a.jsonl") if place == "file" else ("notes/", "notes/")
    words = ("--coco", outputs[0], "--json", outputs[1])
    assert run("video", portrait_clip, *words, *FAST).code == 0
    stem = tmp_path / ("a" if place == "file" else f"notes/{portrait_clip.stem}")
    coco = json.loads(stem.with_suffix(".json").read_text())
    lines = [json.loads(line) for line in stem.with_suffix(".jsonl").read_text().splitlines()[1:]]
    assert len(coco["images"]) == len(lines) == 5
    names = {category["id"]: category["name"] for category in coco["categories"]}
    for image, line in zip(coco["images"], lines, strict=True):
        areas: dict[str, int] = {}
        for annotation in coco["annotations"]:
            if annotation["image_id"] == image["id"]:
                name = names[annotation["category_id"]]
                areas[name] = areas.get(name, 0) + annotation["area"]
        assert areas == {k: v for k, v in line["pixels"].items() if k != "background"}


def test_a_cutout_with_a_feather_is_wider(run: Run, portrait_clip: Path, tmp_path: Path) -> None:
    cut = ("--view", "cutout", "--classes", "hair,face", *FAST)
    assert run("video", portrait_clip, "-o", "hard", "--frames", *cut).code == 0
    assert run("video", portrait_clip, "-o", "soft", "--frames", "--feather", "8", *cut).code == 0
    covers = []
    for folder in ("hard", "soft"):
        with Image.open(tmp_path / folder / "000000.png") as made:
            covers.append(np.asarray(made)[..., 3].astype(int))
    hard, soft = covers
    assert (soft >= hard).all()
    assert (soft > 0).sum() > (hard > 0).sum() + 500
    assert len(np.unique(hard)) > 50  # the soft mask's own edge


def test_the_bench_measures_effects(run: Run) -> None:
    result = run(
        *("bench", "--frames", "3", "--warmup", "1", "--resolution", "320x240"),
        *("--effect", "lips=#b0122a", "--effect", "skin=0.5"),
    )
    assert result.code == 0, result.err
    assert "render" in result.out
    assert (
        "needs a network's masks"
        in run("bench", "--model", "null", "--effect", "lips=#b0122a").error
    )

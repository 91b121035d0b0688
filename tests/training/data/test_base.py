"""Layouts, label values, split lists."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from rtseg.errors import SourceError
from rtseg.labels import FASSEG, HELEN
from tests.training.conftest import draw_face, write_png
from training.data import base
from training.data.backgrounds import Backgrounds
from training.data.base import (
    Sample,
    read_image,
    read_labels,
    read_split,
    resize_labels,
    samples_of,
)
from training.data.fasseg import HELEN_SETS, Fasseg, as_helen, nearest_colour
from training.data.helen import Helen
from training.losses.functions import FIRST_SET


def test_helen_yields_named_rgb_pairs(toy_data: Path):
    helen = Helen(root=toy_data, split="train")
    assert helen.names == ("0001", "0002")
    sample = helen[1]
    _, labels = draw_face(dx=8)
    np.testing.assert_array_equal(sample.labels, labels)
    # hair has its RGB colour, apart from JPEG artefacts
    np.testing.assert_allclose(sample.image[40, 128], HELEN.colours[10], atol=12)


def test_the_data_sets_own_folder_is_accepted(toy_data: Path):
    folder = toy_data / "helenstar-256" / "train"
    assert Helen(root=folder, split="val")[0].labels.shape == (256, 256)


def test_an_unknown_label_value_names_the_file_and_the_value(toy_data: Path):
    _, labels = draw_face()
    labels[3, 4:6] = 77
    path = toy_data / "helenstar-256" / "train" / "labels" / "0001.png"
    write_png(path, labels)
    with pytest.raises(SourceError, match=r"0001\.png: holds the label value 77 in 2 pixels"):
        Helen(root=toy_data, split="train")[0]


def test_255_is_an_allowed_label_value(tmp_path: Path):
    labels = np.full((4, 4), 255, np.uint8)
    write_png(tmp_path / "a.png", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png", HELEN), labels)


def test_missing_or_broken_files_are_named(toy_data: Path, tmp_path: Path):
    with pytest.raises(SourceError, match="Helen"):
        Helen(root=tmp_path / "nowhere", split="train")
    (toy_data / "backgrounds" / "000.jpg").write_bytes(b"no picture")
    backgrounds = Backgrounds(root=toy_data, split="train")
    with pytest.raises(SourceError, match=r"000\.jpg: is not a picture"):
        backgrounds[0]
    (toy_data / "backgrounds" / "000.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match=r"000\.jpg: is not a picture"):
        backgrounds[0]
    (toy_data / "backgrounds" / "000.jpg").unlink()
    with pytest.raises(SourceError, match=r"000\.jpg: cannot be read"):
        backgrounds[0]


def test_labels_of_another_size_than_the_image_are_an_error(toy_data: Path):
    path = toy_data / "helenstar-256" / "train" / "labels" / "0001.png"
    write_png(path, np.zeros((100, 120), np.uint8))
    with pytest.raises(SourceError, match=r"120x100.*256x256"):
        Helen(root=toy_data, split="train")[0]


def test_colour_labels_are_refused(tmp_path: Path):
    write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(SourceError, match="one 8-bit channel"):
        read_labels(tmp_path / "a.png", HELEN)


def test_labels_are_resized_by_nearest_neighbour():
    labels = np.array([[1, 9], [4, 255]], np.uint8)
    larger = resize_labels(labels, height=4, width=6)
    np.testing.assert_array_equal(larger, np.repeat(np.repeat(labels, 2, 0), 3, 1))
    assert resize_labels(labels, height=2, width=2) is labels


def test_committed_splits_are_disjoint_and_complete():
    train, val, report = (set(read_split(f"helen-{s}")) for s in ("train", "val", "report"))
    assert (len(train), len(val), len(report)) == (1699, 200, 100)
    assert train | val | report == {f"{number:04d}" for number in range(1, 2000)}
    for name, count in (
        ("backgrounds", 733),
        ("celebamask", 5139),
        ("figaro", 840),
        ("masked-faces", 450),
    ):
        parts = [read_split(f"{name}-{split}") for split in ("train", "val", "report")]
        assert len(set().union(*parts)) == sum(map(len, parts)) == count
    assert set(read_split("helen-glasses")) <= train
    persons = [
        {name.split("/")[1][:10] for name in read_split(f"fasseg-v3-{s}")} for s in ("train", "val")
    ]
    assert persons[0]
    assert persons[1]
    assert not persons[0] & persons[1]


def test_an_unknown_split_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with pytest.raises(SourceError, match="helen-val"):
        read_split("helen-dev")
    monkeypatch.setattr(base, "SPLITS", tmp_path)
    (tmp_path / "twice.txt").write_text("a\nb\na\n")
    with pytest.raises(SourceError, match="contains a name twice"):
        read_split("twice")


def test_fasseg_takes_the_nearest_palette_colour():
    # antialiased between skin (255, 255, 0) and background (255, 0, 0), and JPEG-like shades
    painted = np.array([[[255, 150, 0], [255, 90, 0], [120, 6, 9], [4, 240, 250]]], np.uint8)
    np.testing.assert_array_equal(nearest_colour(painted, FASSEG), [[1, 0, 2, 3]])


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_fasseg_layouts_are_read(toy_data: Path, version: str):
    sample = Fasseg(root=toy_data, version=version, split="train")[0]  # type: ignore[arg-type]
    assert sample.image.shape == (256, 256, 3)
    assert set(np.unique(sample.labels)) == set(range(6))


def test_fasseg_is_converted_to_sets_of_helen(toy_data: Path):
    _, truth = draw_face()
    fine = as_helen(Fasseg(root=toy_data, version="v2", split="train")[0], height=256).labels
    assert set(np.unique(fine)) <= {*range(11), *range(FIRST_SET, FIRST_SET + len(HELEN_SETS))}
    may_be = np.zeros((256, 11), bool)
    may_be[range(11), range(11)] = True
    for k, ids in enumerate(HELEN_SETS):
        may_be[FIRST_SET + k, list(ids)] = True
    # no true class is excluded, and distinguishable classes are distinguished
    assert may_be[fine, truth].mean() > 0.999
    assert (fine[truth == 4] == 4).all()
    assert (fine[truth == 5] == 5).all()
    assert (fine[truth == 2] == 2).mean() > 0.9
    assert (fine[truth == 3] == 3).mean() > 0.9


def test_an_image_reads_as_rgb(tmp_path: Path):
    write_png(tmp_path / "red.png", np.full((2, 3, 3), (255, 0, 0), np.uint8))
    np.testing.assert_array_equal(read_image(tmp_path / "red.png")[0, 0], (255, 0, 0))


class _Slow:
    """Samples of which the first ones take longest; `reading` counts how many are being read."""

    label_set = HELEN
    names = tuple(str(index) for index in range(40))

    def __init__(self, broken: int = -1) -> None:
        self.broken = broken
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        time.sleep(0.02 if index % 7 == 0 else 0.0)
        self.read.append(index)
        if index == self.broken:
            raise SourceError(f"{index} is broken")
        return Sample(
            name=self.names[index],
            image=np.zeros((2, 2, 3), np.uint8),
            labels=np.zeros((2, 2), np.uint8),
        )


def test_samples_come_in_order_and_not_all_at_once():
    slow = _Slow()
    samples = samples_of(slow)
    first = next(samples)
    assert first.name == "0"
    assert len(slow.read) <= 2 * (os.cpu_count() or 1) + 1
    assert [sample.name for sample in samples] == list(slow.names[1:])


def test_the_samples_before_a_broken_one_come_first():
    samples = samples_of(_Slow(broken=9))
    assert [next(samples).name for _ in range(9)] == list(_Slow.names[:9])
    with pytest.raises(SourceError, match="9 is broken"):
        next(samples)

"""FASSEG: antialiased and 32-bit labels, leaked photos, different sizes, three versions."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtseg.errors import SettingError, SourceError
from rtseg.labels import FASSEG
from tests.training.data.files import blocks, flat, picture, write, write_bmp32
from training.data.fasseg import LEAKED_TEST_NAMES, Fasseg

PALETTE = np.array(FASSEG.colours, np.uint8)


def painted(ids: list[int], height: int = 32, width: int = 32) -> np.ndarray:
    return PALETTE[blocks(ids, height, width)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for version in ("V1", "V2"):
        for part, count in (("Train", 20), ("Test", 50)):
            for number in range(1, count + 1):
                folder = tmp_path / "fasseg" / version
                write(folder / f"{part}_RGB" / f"{number}.bmp", picture(number))
                write(folder / f"{part}_Labels" / f"{number}.bmp", painted([0, 1, 2, 3, 4, 5]))
    return tmp_path


def test_every_colour_is_its_own_id(root: Path) -> None:
    sample = Fasseg(root=root, version="v2", split="train")[0]
    assert np.array_equal(sample.labels, blocks([0, 1, 2, 3, 4, 5]))
    assert np.array_equal(sample.image, picture(1))


def test_antialiased_borders_take_the_nearest_colour(root: Path) -> None:
    soft = painted([0, 1])
    soft[:, 15] = (255, 100, 0)  # closer to the background's red than to the skin's yellow
    soft[:, 16] = (255, 160, 0)
    write(root / "fasseg/V2/Train_Labels/1.bmp", soft)
    labels = Fasseg(root=root, version="v2", split="train")[0].labels
    assert np.array_equal(labels, blocks([0, 1]))


@pytest.mark.parametrize("alpha", [0, 255])
def test_32_bit_bitmaps_are_read_whatever_their_fourth_byte(root: Path, alpha: int) -> None:
    write_bmp32(root / "fasseg/V2/Train_Labels/1.bmp", painted([2, 4, 5]), alpha=alpha)
    labels = Fasseg(root=root, version="v2", split="train")[0].labels
    assert np.array_equal(labels, blocks([2, 4, 5]))


def test_a_jpeg_like_label_is_read_and_a_photo_is_refused(root: Path) -> None:
    rng = np.random.default_rng(0)
    noisy = painted([0, 1, 2]).astype(int) + rng.integers(-20, 21, (32, 32, 3))
    write(root / "fasseg/V2/Train_Labels/1.bmp", noisy.clip(0, 255).astype(np.uint8))
    train = Fasseg(root=root, version="v2", split="train")
    assert np.array_equal(train[0].labels, blocks([0, 1, 2]))
    write(root / "fasseg/V2/Train_Labels/1.bmp", flat(32, 32, (120, 120, 120)))
    with pytest.raises(SourceError, match=r"1\.bmp: 100% .* \(120, 120, 120\)"):
        train[0]


def test_published_and_committed_splits_share_no_name_between_their_sides(root: Path) -> None:
    sides = [
        Fasseg(root=root, version="v1", split=split).names
        for split in ("published-train", "published-val")
    ]
    assert [len(side) for side in sides] == [18, 2]
    assert sides[1] == ("19", "20")
    train = Fasseg(root=root, version="v2", split="train").names
    val = Fasseg(root=root, version="v2", split="val").names
    assert sorted(map(int, train + val)) == list(range(1, 21))
    with pytest.raises(SettingError, match="V1 and V2"):
        Fasseg(root=v3(root), version="v3", split="published-train")


def test_leaked_photos_are_not_in_the_test_split(root: Path) -> None:
    assert len(LEAKED_TEST_NAMES) == 6
    test = Fasseg(root=root, version="v2", split="test").names
    assert len(test) == 44
    assert not LEAKED_TEST_NAMES & set(test)
    assert len(Fasseg(root=root, version="v2", split="test-all")) == 50


def v3(root: Path) -> Path:
    folder = root / "fasseg" / "V3"
    for part in ("Train", "Test"):
        for yaw in ("0", "-90"):
            write(folder / f"{part}_RGB" / yaw / f"p{yaw}.bmp", picture(1, 64, 48))
            write(folder / f"{part}_labels" / yaw / f"p{yaw}.bmp", painted([0, 1, 2], 64, 48))
    return root


def test_labels_of_another_size_are_scaled_and_of_another_shape_refused(root: Path) -> None:
    v3(root)
    test = Fasseg(root=root, version="v3", split="test")
    assert set(test.names) == {"0/p0", "-90/p-90"}
    labels = root / "fasseg/V3/Test_labels/0/p0.bmp"
    write(labels, painted([0, 1, 2], 128, 96))
    index = test.names.index("0/p0")
    assert test[index].labels.shape == test[index].image.shape[:2] == (64, 48)
    assert set(np.unique(test[index].labels)) == {0, 1, 2}
    write(labels, painted([0, 1, 2], 64, 64))
    with pytest.raises(SourceError, match=r"p0\.bmp: the labels are 64x64, the image .* 48x64"):
        test[index]


def test_pictures_in_other_formats_are_found(root: Path) -> None:
    folder = root / "fasseg/V2"
    (folder / "Train_RGB/1.bmp").unlink()
    cv2.imwrite(str(folder / "Train_RGB/1.jpg"), flat(32, 32, (10, 200, 30))[:, :, ::-1])
    image = Fasseg(root=root, version="v2", split="train")[0].image
    assert abs(int(image[5, 5, 1]) - 200) < 12


@pytest.mark.skipif("RTSEG_DATA" not in os.environ, reason="needs the data folder in RTSEG_DATA")
@pytest.mark.parametrize(("version", "count"), [("v2", 20), ("v3", 182)])
def test_the_real_training_pairs_are_all_readable(version: str, count: int) -> None:
    data = Path(os.environ["RTSEG_DATA"])
    sizes = 0
    for split in ("train", "val"):
        fasseg = Fasseg(root=data, version=version, split=split)  # type: ignore[arg-type]
        sizes += len(fasseg)
        for index in range(0, len(fasseg), 9):
            sample = fasseg[index]
            assert {1, 2, 4} <= set(np.unique(sample.labels)), sample.name
    assert sizes == count

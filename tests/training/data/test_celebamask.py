"""CelebAMask-HQ: masks painted in order, part names compared whole, official splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtseg.errors import SettingError, SourceError
from rtseg.labels import CELEBAMASK
from tests.training.data.files import picture, write
from training.data.celebamask import PARTS, CelebAMask


def mask(rows: slice, columns: slice, size: int = 32) -> np.ndarray:
    drawn = np.zeros((size, size), np.uint8)
    drawn[rows, columns] = 255
    return drawn


def face(root: Path, number: int, **parts: np.ndarray) -> None:
    write(root / "CelebA-HQ-img" / f"{number}.jpg", picture(number, 64, 64))
    folder = root / "CelebAMask-HQ-mask-anno" / str(number // 2000)
    for part, drawn in parts.items():
        write(folder / f"{number:05d}_{part}.png", drawn)


WHOLE = slice(None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "CelebAMask-HQ"
    for number in (0, 1, 2, 404, 2001, 2110):
        face(root, number, skin=mask(WHOLE, slice(0, 16)))
    lines = ["idx orig_idx orig_file"]
    for number, original in ((0, 5), (1, 162_769), (2, 162_770), (404, 9), (2001, 182_637)):
        lines.append(f"{number} {original} {original:06d}.jpg")
    lines.append("2110 182636 182636.jpg")
    lines.append("29999 12 000012.jpg")  # listed but missing
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(lines) + "\n")
    return root


def test_part_names_are_those_of_the_label_set_in_its_order() -> None:
    assert len(PARTS) == len(CELEBAMASK) - 1
    meaning = dict(zip(PARTS, CELEBAMASK.names[1:], strict=True))
    assert meaning["l_eye"] == "left-eye"
    assert meaning["u_lip"] == "upper-lip"
    assert meaning["ear_r"] == "earring"
    assert meaning["neck_l"] == "necklace"
    assert meaning["neck"] == "neck"
    assert meaning["mouth"] == "inner-mouth"
    assert meaning["cloth"] == "cloth"


def test_parts_are_painted_over_the_skin(root: Path) -> None:
    face(
        root,
        0,
        skin=mask(WHOLE, WHOLE),
        nose=mask(slice(8, 16), slice(8, 16)),
        u_lip=mask(slice(20, 24), slice(8, 24)),
        hair=mask(slice(0, 4), WHOLE),
    )
    labels = CelebAMask(root=root, split="train")[0].labels
    assert labels[12, 12] == 2
    assert labels[22, 10] == 11
    assert labels[1, 1] == 13
    assert labels[28, 1] == 1


def test_a_necklace_is_not_read_as_a_neck(root: Path) -> None:
    face(root, 0, neck_l=mask(slice(28, 32), WHOLE))
    labels = CelebAMask(root=root, split="train")[0].labels
    assert set(np.unique(labels)) == {0, 1, 16}


def test_a_sample_has_the_masks_size_and_the_pictures_colours(root: Path) -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[:, :, 0] = 250
    write(root / "CelebA-HQ-img" / "0.jpg", red)
    sample = CelebAMask(root=root.parent, split="train")[0]
    assert sample.image.shape == (32, 32, 3)
    assert sample.labels.shape == (32, 32)
    assert sample.image[16, 16, 0] > 240 > 20 > sample.image[16, 16, 2]


def test_the_official_split_follows_celebas_partition(root: Path) -> None:
    assert CelebAMask(root=root, split="train").ids == (0, 1)  # 404 is known to be faulty
    assert CelebAMask(root=root, split="val").ids == (2, 2110)
    assert CelebAMask(root=root, split="test").ids == (2001,)


def test_the_published_split_is_the_first_four_fifths(root: Path) -> None:
    write(root / "CelebA-HQ-img" / "10.jpg", picture(10))  # sorted as numbers, not as text
    assert CelebAMask(root=root, split="published-train").ids == (0, 1, 2, 10)
    assert CelebAMask(root=root, split="published-val").ids == (2001, 2110)


def test_ids_from_two_thousand_on_are_in_the_next_folder(root: Path) -> None:
    files = CelebAMask(root=root, split="test").files(0)
    assert [path.name for path in files] == ["2001.jpg", "02001_skin.png"]
    assert files[1].parent.name == "1"


def test_faulty_files_are_named(root: Path) -> None:
    masks = root / "CelebAMask-HQ-mask-anno" / "0"
    for path in masks.glob("00000_*.png"):
        path.unlink()
    train = CelebAMask(root=root, split="train")
    with pytest.raises(SourceError, match="face 0 has no mask"):
        train[0]
    write(masks / "00000_skin.png", np.full((32, 32), 77, np.uint8))
    with pytest.raises(SourceError, match=r"00000_skin\.png.*value 77 in 1024 pixels"):
        train[0]
    write(masks / "00000_skin.png", mask(WHOLE, WHOLE))
    write(masks / "00000_nose.png", mask(WHOLE, WHOLE, size=16))
    with pytest.raises(SourceError, match=r"00000_nose\.png.*16x16.*32x32"):
        train[0]
    with pytest.raises(SettingError, match="no split 'training'"):
        CelebAMask(root=root, split="training")
    (root / "CelebA-HQ-to-CelebA-mapping.txt").unlink()
    with pytest.raises(SourceError, match="published-train"):
        CelebAMask(root=root, split="train")
    with pytest.raises(SourceError, match=r"github\.com/switchablenorms"):
        CelebAMask(root=masks, split="train")


def test_files_of_unknown_parts_are_reported(root: Path) -> None:
    stray = write(root / "CelebAMask-HQ-mask-anno" / "0" / "00000_beard.png", mask(WHOLE, WHOLE))
    reported = CelebAMask(root=root, split="train").unexpected()
    assert reported[0] == str(stray)
    assert "4790: the masks are empty" in reported

"""CIHP, BDD100K, LaPa and Helen*'s larger layouts: the right files, splits, ids and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtseg.errors import SettingError, SourceError
from rtseg.labels import BDD_DRIVABLE, CIHP, HELEN, LABEL_SETS, LAPA
from tests.training.data.files import blocks, flat, picture, write
from training.data import bdd100k, cihp, helen, lapa
from training.data.origin import Origin


def cihp_folder(root: Path, count: int = 3) -> Path:
    for folder in ("Training", "Validation"):
        for number in range(count):
            name = f"{number:07d}"
            write(root / folder / "Images" / f"{name}.jpg", picture(number))
            write(root / folder / "Category_ids" / f"{name}.png", blocks([0, 13, 19]))
            write(root / folder / "Categories" / f"{name}.png", flat(32, 32, (128, 0, 0)))
    return root


def bdd_folder(root: Path, count: int = 10) -> Path:
    for part in ("train", "val"):
        for number in range(count):
            name = f"{part}-{number:03d}"
            write(root / "images/100k" / part / f"{name}.jpg", picture(number, 18, 32))
            write(root / "labels/drivable/masks" / part / f"{name}.png", blocks([0, 1, 2], 18))
            write(
                root / "labels/drivable/colormaps" / part / f"{name}.png", flat(18, 32, (0, 0, 0))
            )
    return root


def lapa_folder(root: Path) -> Path:
    for part in ("train", "val", "test"):
        write(root / part / "images" / "a_1.jpg", picture(1))
        write(root / part / "labels" / "a_1.png", blocks(list(range(11))))
        (root / part / "landmarks").mkdir()
    return root


def helen_folder(root: Path, *, by_kind: bool) -> Path:
    for part in ("train", "test", "test_resize"):
        image, labels = (
            ("images/f1.jpg", "labels/f1.png") if by_kind else ("f1_image.jpg", "f1_label.png")
        )
        write(root / part / image, picture(1))
        write(root / part / labels, blocks(list(range(11))))
        if not by_kind:
            write(root / part / "f1_viz.jpg", picture(2))
    return root


def test_cihp_reads_ids_not_colours(tmp_path: Path) -> None:
    cihp_folder(tmp_path / "CIHP")
    train = cihp.open_cihp(tmp_path, "train")
    assert train.names == ("0000000", "0000001", "0000002")
    assert train.label_set is CIHP
    assert np.array_equal(train[1].labels, blocks([0, 13, 19]))
    assert abs(train[1].image.astype(int) - picture(1)).mean() < 4


def test_cihps_published_split_uses_its_sorted_training_names(tmp_path: Path) -> None:
    images, ids = tmp_path / "Training/Images", tmp_path / "Training/Category_ids"
    images.mkdir(parents=True)
    ids.mkdir()
    for number in range(1060, 0, -1):
        (images / f"{number:07d}.jpg").touch()
    train = cihp.open_cihp(tmp_path, "published-train")
    val = cihp.open_cihp(tmp_path, "published-val")
    assert (train.names[0], train.names[-1], len(train)) == ("0000001", "0001000", 1000)
    assert (val.names[0], val.names[-1], len(val)) == ("0001001", "0001050", 50)
    for path in images.glob("0001*.jpg"):
        path.unlink()
    with pytest.raises(SourceError, match=r"holds 999 pictures; .* the 50 after the first 1000"):
        cihp.open_cihp(tmp_path, "published-val")


def test_an_unknown_value_names_its_file(tmp_path: Path) -> None:
    cihp_folder(tmp_path)
    write(tmp_path / "Training/Category_ids/0000001.png", blocks([0, 20]))
    with pytest.raises(SourceError, match=r"0000001\.png: holds the label value 20 in 512 pixels"):
        cihp.open_cihp(tmp_path, "train")[1]


def test_labels_of_another_size_are_an_error_not_a_stretch(tmp_path: Path) -> None:
    cihp_folder(tmp_path)
    write(tmp_path / "Training/Category_ids/0000001.png", blocks([0, 1], 16, 16))
    with pytest.raises(SourceError, match=r"labels are 16x16, the image .* 32x32"):
        cihp.open_cihp(tmp_path, "train")[1]


def test_missing_labels_are_an_error_with_their_name(tmp_path: Path) -> None:
    cihp_folder(tmp_path)
    (tmp_path / "Training/Category_ids/0000002.png").unlink()
    with pytest.raises(SourceError, match=r"0000002\.png: cannot be read"):
        cihp.open_cihp(tmp_path, "train")[2]


def test_bdd_counts_background_last(tmp_path: Path) -> None:
    bdd_folder(tmp_path / "bdd100k")
    val = bdd100k.open_bdd_drivable(tmp_path, "val")
    assert len(val) == 10
    assert BDD_DRIVABLE.names[BDD_DRIVABLE.background or 0] == "background"
    assert set(np.unique(val[0].labels)) == {0, 1, 2}


def test_bdds_published_split_is_seeded_complete_and_disjoint(tmp_path: Path) -> None:
    bdd_folder(tmp_path)
    parts = [
        bdd100k.open_bdd_drivable(tmp_path, f"published-{part}").names
        for part in ("train", "val", "test")
    ]
    assert [len(part) for part in parts] == [7, 2, 1]
    everything = [name for part in parts for name in part]
    assert len(set(everything)) == 10
    assert everything != sorted(everything)
    assert parts[0] == bdd100k.open_bdd_drivable(tmp_path, "published-train").names


def test_bdds_published_split_has_the_published_sizes(tmp_path: Path) -> None:
    for folder in ("images/100k/train", "labels/drivable/masks/train"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(3500):
        (tmp_path / "images/100k/train" / f"{number:05d}.jpg").touch()
    sizes = [
        len(bdd100k.open_bdd_drivable(tmp_path, f"published-{part}"))
        for part in ("train", "val", "test")
    ]
    assert sizes == [2401, 686, 343]


def test_lapa_has_helens_ids(tmp_path: Path) -> None:
    lapa_folder(tmp_path / "LaPa")
    for split in ("train", "val", "test"):
        samples = lapa.open_lapa(tmp_path, split)
        assert np.array_equal(samples[0].labels, blocks(list(range(11))))
    assert LAPA.names == HELEN.names
    assert LAPA.flip_pairs == HELEN.flip_pairs


def test_lapa_and_helen_say_that_they_share_pictures() -> None:
    assert lapa.ORIGIN.advice.endswith("; shares pictures with helen")
    assert helen.ORIGIN.advice.endswith("; shares pictures with lapa")


@pytest.mark.parametrize("by_kind", [False, True])
def test_helens_larger_layouts_are_read(tmp_path: Path, *, by_kind: bool) -> None:
    helen_folder(tmp_path / "helenstar", by_kind=by_kind)
    for split in ("published-train", "published-test", "published-test-resize"):
        samples = helen.open_helen(tmp_path, split)
        assert samples.names == ("f1",)
        assert np.array_equal(samples[0].labels, blocks(list(range(11))))


@pytest.mark.parametrize(
    "origin", [cihp.ORIGIN, bdd100k.ORIGIN, lapa.ORIGIN, helen.ORIGIN], ids=lambda o: o.name
)
def test_missing_data_says_where_to_get_it(origin: Origin, tmp_path: Path) -> None:
    assert origin.homepage.startswith("http")
    with pytest.raises(SourceError, match=origin.homepage.replace(".", r"\.")):
        origin.open(tmp_path, "published-test" if origin.name == "helen" else "train")
    with pytest.raises(SettingError, match="no split 'holdout'; allowed: "):
        origin.open(tmp_path, "holdout")


def test_built_in_label_sets_swap_left_for_right_only() -> None:
    for known in LABEL_SETS.values():
        for first, second in known.flip_pairs:
            assert known.names[first].startswith("left-")
            assert known.names[second] == known.names[first].replace("left-", "right-")
        sided = sum(name.startswith(("left-", "right-")) for name in known.names)
        assert sided == 2 * len(known.flip_pairs)
        assert len(set(known.colours)) == len(known)


def test_published_colours_are_right() -> None:
    assert CIHP.colours[7] == (0, 119, 221)
    assert CIHP.colours[11] == (52, 86, 128)
    assert BDD_DRIVABLE.colours[:2] == ((219, 94, 86), (86, 211, 219))

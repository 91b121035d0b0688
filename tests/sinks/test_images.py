"""Numbered picture files: their content, their names, and what they never overwrite."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rtseg.errors import OutputExistsError, SettingError, SinkError
from rtseg.settings import EncodeSettings
from rtseg.sinks.images import ImagesSink
from tests.sinks.drawn import HEIGHT, WIDTH, info, item, picture, write_run


def sink_to(output, *, overwrite=False, names=None):
    return ImagesSink(str(output), settings=EncodeSettings(overwrite=overwrite), names=names)


def read_rgb(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_gets_numbered_pngs_equal_to_the_pictures(tmp_path):
    write_run(sink_to(tmp_path / "new" / "out"), 3)
    folder = tmp_path / "new" / "out"
    assert names_in(folder) == ["000000.png", "000001.png", "000002.png"]
    for i in range(3):
        assert np.array_equal(read_rgb(folder / f"{i:06d}.png"), picture(i))


@pytest.mark.parametrize(
    ("pattern", "first"),
    [("f-%03d.jpg", "f-000.jpg"), ("%d.webp", "0.webp"), ("%06d.png", "000000.png")],
)
def test_a_pattern_names_the_files(tmp_path, pattern, first):
    sink = sink_to(tmp_path / "out" / pattern)
    sink.open(info(), width=WIDTH, height=HEIGHT)
    frame, segmentation, _ = item(0)
    flat = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    flat[:] = (200, 40, 90)
    sink.write(frame, segmentation, flat)
    sink.close("finished")
    read = read_rgb(tmp_path / "out" / first)
    assert np.abs(read.astype(int) - (200, 40, 90)).max() <= 3


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_transparency_is_kept(tmp_path, suffix):
    sink = sink_to(tmp_path / f"%d{suffix}")
    assert sink.has_alpha
    sink.open(info(), width=WIDTH, height=HEIGHT)
    frame, segmentation, _ = item(0)
    shown = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    shown[:, 10:] = (250, 10, 20, 255)
    sink.write(frame, segmentation, shown)
    sink.close("finished")
    read = cv2.imread(str(tmp_path / f"0{suffix}"), cv2.IMREAD_UNCHANGED)
    assert read.shape[2] == 4
    assert np.array_equal(read[..., 3], shown[..., 3])
    assert np.abs(read[:, 12:, :3].astype(int) - (20, 10, 250)).max() <= 6


def test_jpeg_has_no_transparency(tmp_path):
    assert not sink_to(tmp_path / "%d.jpg").has_alpha


def test_names_replace_numbers(tmp_path):
    write_run(sink_to(tmp_path, names=["anna.png", "ben"]), 2)
    assert names_in(tmp_path) == ["anna.png", "ben.png"]
    late = sink_to(tmp_path / "late", names=["anna"])
    with pytest.raises(SinkError, match="1 names"):
        write_run(late, 2)


def test_existing_files_are_replaced_only_if_allowed(tmp_path):
    (tmp_path / "000007.png").write_bytes(b"precious")
    with pytest.raises(OutputExistsError, match=r"000007\.png exists; `overwrite`"):
        sink_to(tmp_path).open(info(), width=WIDTH, height=HEIGHT)
    assert (tmp_path / "000007.png").read_bytes() == b"precious"
    (tmp_path / "note.txt").write_text("not ours")
    write_run(sink_to(tmp_path, overwrite=True), 1)
    assert names_in(tmp_path) == ["000000.png", "000007.png", "note.txt"]


def test_other_files_in_the_folder_do_not_matter(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"mine")
    write_run(sink_to(tmp_path / "%06d.png"), 1)
    assert names_in(tmp_path) == ["000000.png", "photo.png"]


@pytest.mark.parametrize("output", ["out/%s.png", "out/%d-%d.png", "out/%06d.tiff", "out/%06d"])
def test_an_invalid_pattern_is_refused(tmp_path, output):
    with pytest.raises(SettingError):
        sink_to(tmp_path / output)


def test_a_file_at_the_folders_path_is_refused(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(SinkError, match="is a file"):
        sink_to(tmp_path / "out").open(info(), width=WIDTH, height=HEIGHT)
    with pytest.raises(SinkError, match="cannot be written"):
        sink_to(tmp_path / "out" / "deeper").open(info(), width=WIDTH, height=HEIGHT)


def test_a_failed_run_keeps_complete_files_only(tmp_path, monkeypatch):
    sink = sink_to(tmp_path / "out")
    sink.open(info(), width=WIDTH, height=HEIGHT)
    sink.write(*item(0))

    def disk_full(self, data):
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", disk_full)
    with pytest.raises(SinkError, match="No space left"):
        sink.write(*item(1))
    sink.close("failed")
    assert names_in(tmp_path / "out") == ["000000.png"]


def test_a_run_without_a_frame_leaves_no_folder(tmp_path):
    write_run(sink_to(tmp_path / "out"), 0, outcome="failed")
    assert not (tmp_path / "out").exists()

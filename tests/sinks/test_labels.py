"""Label ids as data: what is read back equals what was written."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from rtseg.errors import OutputExistsError, SettingError, SinkError, SourceError
from rtseg.frames import Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.sinks.labels.images import open_labels_sink, read_labels
from rtseg.sinks.labels.video import NAMES_TAG
from tests.sinks.drawn import HEIGHT, WIDTH, info, item, labels, write_run
from tests.support.clips import part_of

OUTPUTS = ["masks", "masks/%04d.png", "masks.mkv", "masks.npz"]


def sink_to(tmp_path, output, *, overwrite=False):
    return open_labels_sink(str(tmp_path / output), overwrite=overwrite)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("outcome", ["finished", "failed"])
def test_every_label_is_read_back(tmp_path, output, outcome):
    sink = sink_to(tmp_path, output)
    assert not sink.wants_pixels
    write_run(sink, 7, outcome=outcome)
    place = tmp_path / output
    if outcome == "failed" and place.suffix in (".mkv", ".npz"):
        assert not place.exists()
        place = part_of(place)
    if "%" in output:
        place = place.parent
    read = list(read_labels(str(place)))
    assert len(read) == 7
    for i, map_ in enumerate(read):
        assert np.array_equal(map_, labels(i))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {place.name}, "something temporary was left"


@pytest.mark.parametrize("output", ["masks.mkv", "masks.npz"])
def test_a_failed_run_without_a_frame_leaves_nothing(tmp_path, output):
    write_run(sink_to(tmp_path, output), 0, outcome="failed")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("outcome", ["finished", "failed"])
def test_close_without_open_is_harmless(tmp_path, output, outcome):
    sink_to(tmp_path, output).close(outcome)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("output", ["masks.mkv", "masks.npz"])
def test_a_finished_run_is_written_once(tmp_path, output):
    sink = sink_to(tmp_path, output)
    write_run(sink, 3)
    path = tmp_path / output
    path.write_bytes(b"somebody else's")
    sink.close("finished")
    assert path.read_bytes() == b"somebody else's"


@pytest.mark.parametrize("output", OUTPUTS)
def test_existing_files_are_replaced_only_if_allowed(tmp_path, output):
    write_run(sink_to(tmp_path, output), 2)
    with pytest.raises(OutputExistsError, match="`overwrite`"):
        write_run(sink_to(tmp_path, output), 1)
    place = (tmp_path / output).parent if "%" in output else tmp_path / output
    assert len(list(read_labels(str(place)))) == 2
    write_run(sink_to(tmp_path, output, overwrite=True), 2)


@pytest.mark.parametrize("output", ["masks.mp4", "masks.jpg", "masks/%d.jpg", "one.png"])
def test_formats_that_cannot_hold_labels_are_refused(output):
    with pytest.raises(SettingError, match=r"folder|\.png"):
        open_labels_sink(output, overwrite=False)


def test_pngs_are_grey_and_8_bit_and_may_be_named(tmp_path):
    sink = open_labels_sink(str(tmp_path / "out"), overwrite=False, names=["anna"])
    write_run(sink, 1)
    read = cv2.imread(str(tmp_path / "out" / "anna.png"), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.uint8
    assert read.ndim == 2


def test_the_video_keeps_times_to_the_millisecond_and_names(tmp_path):
    """A variable rate in a time base that milliseconds cannot represent."""
    time_base = Fraction(1, 90_000)
    ticks = [1501, 3003, 9009, 9100, 400_000]
    sink = sink_to(tmp_path, "masks.mkv")
    sink.open(info(time_base=time_base), width=WIDTH, height=HEIGHT)
    for i, pts in enumerate(ticks):
        sink.write(*item(i, pts=pts, time_base=time_base))
    sink.close("finished")
    with av.open(str(tmp_path / "masks.mkv")) as container:
        assert json.loads(container.metadata[NAMES_TAG]) == list(HELEN.names)
        stream = container.streams.video[0]
        assert stream.codec_context.name == "ffv1"
        assert stream.codec_context.pix_fmt == "gray"
        times = [frame.pts * frame.time_base for frame in container.decode(stream)]
    for read, pts in zip(times, ticks, strict=True):
        assert abs(read - pts * time_base) <= Fraction(1, 2000)


def test_frames_within_one_millisecond_stay_apart(tmp_path):
    sink = sink_to(tmp_path, "masks.mkv")
    sink.open(info(time_base=Fraction(1, 90_000)), width=WIDTH, height=HEIGHT)
    for i, pts in enumerate((0, 10, 20, 9000)):
        sink.write(*item(i, pts=pts, time_base=Fraction(1, 90_000)))
    sink.close("finished")
    with av.open(str(tmp_path / "masks.mkv")) as container:
        times = [round(1000 * float(frame.time)) for frame in container.decode(video=0)]
    assert times == [0, 1, 2, 100]


def test_the_archive_opens_in_numpy_with_times_and_names(tmp_path):
    time_base = Fraction(1001, 30_000)
    sink = sink_to(tmp_path, "masks.npz")
    sink.open(info(time_base=time_base), width=WIDTH, height=HEIGHT)
    for i in range(4):
        sink.write(*item(i, pts=2 * i + 5, time_base=time_base))
    sink.close("finished")
    with np.load(tmp_path / "masks.npz", allow_pickle=False) as archive:
        assert archive["labels"].shape == (4, HEIGHT, WIDTH)
        assert archive["labels"].dtype == np.uint8
        assert np.array_equal(archive["labels"][2], labels(2))
        assert archive["pts"].tolist() == [5, 7, 9, 11]
        assert archive["time_base"].tolist() == [1001, 30_000]
        assert archive["names"].tolist() == list(HELEN.names)


@pytest.mark.parametrize("output", ["masks.mkv", "masks.npz"])
def test_a_long_video_is_not_held_in_memory(tmp_path, output):
    height, width, count = 480, 640, 120
    blank = np.zeros((height, width), np.uint8)
    blank[100:300, 200:400] = 1
    image = np.zeros((height, width, 3), np.uint8)
    sink = sink_to(tmp_path, output)
    tracemalloc.start()
    try:
        sink.open(info(width=width, height=height), width=width, height=height)
        for i in range(count):
            frame = Frame(image=image, index=i, pts=i, time_base=Fraction(1, 30))
            sink.write(frame, Segmentation(labels=blank, label_set=HELEN), None)
        sink.close("finished")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 0.2 * count * blank.nbytes
    assert sum(1 for _ in read_labels(str(tmp_path / output))) == count


@pytest.mark.parametrize("output", ["masks.mkv", "masks.npz"])
def test_labels_of_another_size_are_refused(tmp_path, output):
    sink = sink_to(tmp_path, output)
    sink.open(info(width=WIDTH + 2), width=WIDTH, height=HEIGHT)
    with pytest.raises(SinkError, match="labels of"):
        sink.write(*item(0))
    sink.close("failed")
    assert not list(tmp_path.iterdir())


def test_an_impossible_output_path_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("masks.npz", "masks.mkv", "masks"):
        sink = sink_to(tmp_path, f"file/{name}")
        with pytest.raises(SinkError, match="cannot be written"):
            sink.open(info(), width=WIDTH, height=HEIGHT)
        sink.close("failed")


def test_reading_anything_but_labels_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"not a zip")
    (tmp_path / "a.mkv").write_bytes(b"not a video")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("other.npy", b"")
    cv2.imwrite(str(tmp_path / "colour.png"), np.zeros((4, 4, 3), np.uint8))
    for name in ("a.npz", "a.mkv", "b.npz", "missing.npz", "x.txt", "."):
        with pytest.raises(SourceError):
            list(read_labels(str(tmp_path / name)))

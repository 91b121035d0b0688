"""A source as an iterator: one frame at a time, then the rest."""

import numpy as np
import pytest
from PIL import Image

from rtseg.frames import Frame
from rtseg.sources import open_source


@pytest.fixture(params=["video", "images", "synthetic"])
def place(request, make_clip, tmp_path):
    if request.param == "video":
        return make_clip(ticks=range(6))
    if request.param == "synthetic":
        return "synthetic:"
    for index in range(6):
        Image.fromarray(np.full((32, 48, 3), 40 * index, np.uint8)).save(tmp_path / f"{index}.png")
    return tmp_path


def first_frames(source, count):
    frames = (item for item in source if isinstance(item, Frame))
    return [next(frames) for _ in range(count)]


def test_next_takes_one_item_and_a_loop_continues(place):
    with open_source(place) as source:
        expected = first_frames(source, 5)
    with open_source(place) as source:
        taken = [next(source), next(source)]
        rest = first_frames(source, 3)
    for frame, other in zip([*taken, *rest], expected, strict=True):
        assert frame.index == other.index
        assert frame.pts_seconds == other.pts_seconds
        assert (frame.image == other.image).all()


def test_next_after_the_end_raises_stop_iteration(place):
    if place == "synthetic:":
        pytest.skip("never ends")
    with open_source(place) as source:
        count = sum(1 for _ in source)
    with open_source(place) as source:
        for _ in range(count):
            next(source)
        with pytest.raises(StopIteration):
            next(source)
        assert list(source) == []

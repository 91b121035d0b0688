"""How many doubtful places a face-parsing model examines more closely, and which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rtseg.faces.parsing_finder import ParsingFinder
from rtseg.frames import Box
from rtseg.geometry.crop import Crop
from rtseg.labels import HELEN
from tests.support.painted import paint

SIZE = 640
WHOLE = Crop(box=Box(left=0, top=0, right=SIZE, bottom=SIZE))
PICTURE = np.zeros((SIZE, SIZE, 3), np.uint8)
CENTRES = [(x, y) for y in (11, 32, 53) for x in (11, 32, 53)]


class Crowd:
    """Nine faces in the whole picture, with rising scores; none in closer crops."""

    def __init__(self) -> None:
        self.calls: list[Sequence[Crop]] = []

    def __call__(self, crops: Sequence[Crop]) -> list[np.ndarray]:
        self.calls.append(crops)
        return [self._map() if crop == WHOLE else _empty() for crop in crops]

    def _map(self) -> np.ndarray:
        values = _empty()
        for number, (x, y) in enumerate(CENTRES):
            labels = np.zeros((64, 64), np.uint8)
            paint(labels, x, y, 18)
            sure = 0.5 + 0.05 * number
            rows, columns = np.nonzero(labels)
            values[rows, columns] = (1 - sure) / 10
            values[rows, columns, labels[rows, columns]] = sure
        return values


def _empty() -> np.ndarray:
    values = np.zeros((64, 64, len(HELEN)), np.float32)
    values[..., 0] = 1
    return values


def examined(network: Crowd) -> list[tuple[int, int]]:
    """The faces around which closer upright crops were requested, in order."""
    return [
        tuple(int(side) // 10 for side in crop.box.centre)  # type: ignore[misc]
        for crop in network.calls[1]
    ]


def near(cells: tuple[int, int]) -> tuple[int, int]:
    return min(CENTRES, key=lambda centre: np.hypot(centre[0] - cells[0], centre[1] - cells[1]))


@pytest.mark.parametrize(("regions", "count"), [(1, 2), (3, 2), (4, 9), (7, 9)])
def test_a_still_examines_every_place_and_a_stream_the_two_most_promising(
    regions: int, count: int
) -> None:
    network = Crowd()
    finder = ParsingFinder(HELEN, aspect=1.0)
    assert finder(PICTURE, network, regions=[WHOLE] * regions) == []
    places = [near(cells) for cells in examined(network)]
    assert places == CENTRES[::-1][:count], "the most promising first"


def test_a_followed_face_is_not_examined_again() -> None:
    network = Crowd()
    known = [
        Box(left=10 * x - 60, top=10 * y - 70, right=10 * x + 60, bottom=10 * y + 90)
        for x, y in CENTRES[7:]
    ]
    ParsingFinder(HELEN, aspect=1.0)(PICTURE, network, regions=[WHOLE], known=known)
    assert [near(cells) for cells in examined(network)] == [CENTRES[6], CENTRES[5]]


def test_rejected_places_give_way_to_others_until_reset() -> None:
    network = Crowd()
    finder = ParsingFinder(HELEN, aspect=1.0)
    finder(PICTURE, network, regions=[WHOLE])
    network.calls.clear()
    finder(PICTURE, network, regions=[WHOLE])
    assert [near(cells) for cells in examined(network)] == [CENTRES[6], CENTRES[5]]
    network.calls.clear()
    finder.reset()
    finder(PICTURE, network, regions=[WHOLE])
    assert [near(cells) for cells in examined(network)] == [CENTRES[8], CENTRES[7]]


def test_nothing_is_requested_without_regions_to_search() -> None:
    network = Crowd()
    assert ParsingFinder(HELEN, aspect=1.0)(PICTURE, network, regions=[]) == []
    assert not any(network.calls)


def test_what_is_tiny_in_its_picture_is_not_examined() -> None:
    network = Crowd()
    large = np.broadcast_to(np.uint8(0), (8 * SIZE, 8 * SIZE, 3))  # heads of 3.5% of its height
    ParsingFinder(HELEN, aspect=1.0)(large, network, regions=[WHOLE])
    assert not any(network.calls[1:])


def test_every_second_time_a_place_is_examined_as_if_lying_on_its_side_too() -> None:
    network = Crowd()
    finder = ParsingFinder(HELEN, aspect=1.0)
    known = [
        Box(left=10 * x - 60, top=10 * y - 70, right=10 * x + 60, bottom=10 * y + 90)
        for x, y in CENTRES[:8]
    ]
    rolls = []
    for _ in range(30):
        network.calls.clear()
        finder(PICTURE, network, regions=[WHOLE], known=known)
        closer = [round(crop.roll_degrees) for crops in network.calls[1:] for crop in crops]
        rolls += [closer] if closer else []
    assert rolls == [[0], [0, -75, 75], [0], [0, -75, 75]]


def test_what_is_beside_the_picture_is_not_examined() -> None:
    network = Crowd()
    narrow, low = PICTURE[:, : SIZE // 2 + 100], PICTURE[: SIZE // 2 + 100]
    for picture, axis in ((narrow, 0), (low, 1)):
        network.calls.clear()
        ParsingFinder(HELEN, aspect=1.0)(picture, network, regions=[WHOLE] * 4)
        places = {near(cells) for cells in examined(network)}
        assert places == {centre for centre in CENTRES if centre[axis] < 40}

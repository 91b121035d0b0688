"""A `FaceFinder` made from any face-parsing model, for models without a finder network."""

from __future__ import annotations

from collections.abc import Sequence

from rtseg.faces.base import FaceDetection, InferCrops
from rtseg.faces.confirmation import is_surely_a_face
from rtseg.faces.overlap import is_one_of
from rtseg.faces.parsed_faces import (
    MIN_COARSE_CELLS,
    ParsedFace,
    distinct_parsed,
    parse_faces,
    readable,
)
from rtseg.faces.refine import Refined, Refiner
from rtseg.faces.schedule import RejectedPlaces
from rtseg.frames import Box, Image
from rtseg.geometry.crop import Crop
from rtseg.labels import LabelSet

# Thresholds for labels that the network was not trained to reject. They were set on composites of
# validation heads and on held-out pictures without a face (`tests.benchmarks.faces`, finding).
_SEEN = 0.3  # least promise of a coarse detection to be examined more closely
_MOST, _MOST_EXHAUSTIVE = 2, 12  # closer crops, at most
_MIN_HEAD = 0.04  # of the frame's shorter side; smaller detections are mostly patterns
_EXHAUSTIVE_REGIONS = 4  # with this many regions, doubtful places are examined at all rotations


class ParsingFinder:
    """Finds what is labelled as a face in large regions, then examines a closer crop of each.

    Remembers where a closer crop showed no face, so that it is not examined again and again.

    Args:
        label_set: must say which ids make up a face.
        aspect: width over height of the network's input.
    """

    def __init__(self, label_set: LabelSet, *, aspect: float) -> None:
        self.label_set = label_set
        self._refiner = Refiner(label_set, aspect=aspect)
        self.reset()

    def reset(self) -> None:
        """See `FaceFinder`."""
        self._rejected = RejectedPlaces()

    def __call__(
        self,
        picture: Image,
        infer: InferCrops,
        *,
        regions: Sequence[Crop],
        known: Sequence[Box] = (),
    ) -> list[FaceDetection]:
        """See `FaceFinder`."""
        self._rejected.next_frame()
        height, width = picture.shape[:2]
        maps = infer(regions) if regions else []
        parsed: list[ParsedFace] = []
        for region, probabilities in zip(regions, maps, strict=True):
            parsed += parse_faces(
                readable(probabilities),
                region,
                self.label_set,
                min_cells=MIN_COARSE_CELLS,
                bridge=0,
            )
        smallest = _MIN_HEAD * min(height, width)
        fresh = [
            face
            for face in distinct_parsed([face for face in parsed if face.promise >= _SEEN])
            if face.head.height >= smallest
            and _reaches_into(face.head, height, width)
            and not is_one_of(face.face, known)
            and not self._rejected.is_left_alone(face.head)
        ]
        exhaustive = len(regions) >= _EXHAUSTIVE_REGIONS
        most = _MOST_EXHAUSTIVE if exhaustive else _MOST
        fresh = sorted(fresh, key=lambda face: -face.promise)[:most]
        confirmed = self._confirmed(fresh, infer, size=(height, width), exhaustive=exhaustive)
        return [refined.parsed.detection() for refined in confirmed if refined.parsed is not None]

    def _confirmed(
        self,
        fresh: Sequence[ParsedFace],
        infer: InferCrops,
        *,
        size: tuple[int, int],
        exhaustive: bool,
    ) -> list[Refined]:
        """The closer crops that show a face; the other places are remembered."""
        examined = list(zip(fresh, self._refiner.at(fresh, infer), strict=True))
        confirmed = [closer for _, closer in examined if _is_face(closer, *size)]
        doubtful = [coarse for coarse, closer in examined if not _is_face(closer, *size)]
        # every second time, and one at a time: few heads are on their side
        lying = [face for face in doubtful if exhaustive or self._rejected.tries(face.head) % 2]
        lying = lying if exhaustive else lying[:1]
        for coarse, closer in zip(lying, self._refiner.sideways(lying, infer), strict=True):
            if _is_face(closer, *size):
                confirmed.append(closer)
                doubtful.remove(coarse)
        for coarse in doubtful:
            self._rejected.add(coarse.head)
        return confirmed


def _is_face(closer: Refined, height: int, width: int) -> bool:
    return closer.parsed is not None and is_surely_a_face(
        closer.parsed, closer.crop, height=height, width=width
    )


def _reaches_into(head: Box, height: int, width: int) -> bool:
    """Whether a head is inside the picture rather than in the letterbox's padding."""
    x, y = head.centre
    return 0 <= x <= width and 0 <= y <= height

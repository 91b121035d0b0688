"""Fit the rule that combines the finder's and the labels' scores of a candidate.

`python -m tests.benchmarks.faces.confirmation --data DIR` runs both networks on validation views
and pictures, and prints the weights of `rtseg.faces.confirmation` and how often they are right.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtseg.backends import open_backend, open_beside
from rtseg.faces.confirmation import IN_USE, smallness
from rtseg.faces.finder import NetworkFinder
from rtseg.faces.following import FaceFollower
from rtseg.faces.schedule import Schedule
from rtseg.frames import Box, Image
from rtseg.geometry.crop import cut
from rtseg.geometry.exposure import evened
from rtseg.settings import FaceSettings
from rtseg.weights import finder_checkpoint_path
from tests.benchmarks.faces.photos import busts, photo_of
from training.augment.face_scenes import FaceScenes, SceneSettings
from training.data.face_busts import faceless
from training.evaluation.score_calibration import fit_logistic, logits_of

HIT, ASIDE = 0.5, 0.1
"""Overlap with a true face from which a place is a face, and below which it is none."""

CAUTION = 0.8
"""Taken off the fitted log-odds, as most candidates in the world are no faces. Chosen on `val`: of
116 pictures without a face none has a detection, instead of three, for a few faces of 545."""

_LEAST = 0.002  # least score of a candidate
_MOST = 30  # candidates per picture
_LEAST_LABELS, _LEAST_FINDER = 0.01, 1e-4  # as in `rtseg.faces.confirmation`


@dataclass(frozen=True, kw_only=True)
class Place:
    """The scores of one candidate in one picture.

    Attributes:
        finder: the finder's score, 0..1.
        labels: `ParsedFace.sure`, 0..1.
        height: the face's height in pixels.
        is_face: whether it is a face.
        kind: the kind of picture.
    """

    finder: float
    labels: float
    height: float
    is_face: bool
    kind: str


Picture = tuple[str, Image, Sequence[Box], Sequence[Box], bool]
"""Kind, picture, true faces, possible faces, and whether it may show other faces."""


def pictures(data: Path, *, portraits: int, scenes: int) -> Iterator[Picture]:
    """Validation portraits, composites, and face-free pictures."""
    for image in faceless(data, "val"):
        yield "nobody", image, [], [], False
    for kind, (people, _) in enumerate(busts(data, "val")):
        for bust in people[:portraits]:
            photo = photo_of(bust)
            assert photo.truth is not None
            yield "portrait", photo.image, [photo.truth], [], kind == 1
    composed = FaceScenes(
        busts=busts(data, "val"),
        backgrounds=faceless(data, "val"),
        settings=SceneSettings(height=720, width=1280),
        seed=99,
    )
    for index in range(scenes):
        image, faces, uncertain = composed.scene(index)
        yield "composite", image, _boxes(faces), _boxes(uncertain), False


def _boxes(faces: Sequence[Any]) -> list[Box]:
    return [Box(left=a, top=b, right=c, bottom=d) for a, b, c, d in (face.box for face in faces)]


class CandidateSearch:
    """Runs both networks as a segmenter does for a still picture."""

    def __init__(self, finder: Path | None, model: str | None, *, threads: int) -> None:
        self.labels = open_backend("openvino", model=model, threads=threads)
        path = finder or finder_checkpoint_path()
        beside = open_beside(self.labels, path) if path is not None else None
        if beside is None:
            raise SystemExit("there is no finder network; give one with --finder")
        self.finder = beside
        spec, labels_spec = beside.model, self.labels.model
        self.finds = NetworkFinder(min_score=_LEAST, calibration=spec.calibration)
        aspect = spec.input_width / spec.input_height
        schedule = Schedule(every=1, aspect=aspect, stretch=False, fine=False)
        self.follower = FaceFollower(
            labels_spec.label_set,
            FaceSettings(),
            finder=self.finds,
            schedule=schedule,
            aspect=labels_spec.input_width / labels_spec.input_height,
        )

    def __call__(self, image: Image) -> list[tuple[Box, float, float, float]]:
        """Box, finder's score, labels' certainty and height in pixels of each candidate, by
        falling finder's score; those in which the labels show no face are rejected anyway."""
        regions = self.follower.schedule.exhaustive(*image.shape[:2])
        detections = self.finds(image, self._infer(self.finder, image), regions=regions)[:_MOST]
        candidates = self.follower.examine(detections, self._infer(self.labels, image))
        return [
            (
                candidate.detection.box,
                detection.score,
                candidate.parsed.sure,
                candidate.parsed.face.height,
            )
            for detection, candidate in zip(detections, candidates, strict=True)
            if candidate is not None
        ]

    @staticmethod
    def _infer(backend: Any, image: Image) -> Any:
        size = backend.model.input_height, backend.model.input_width

        def infer(crops: Any) -> Any:
            pictures = np.empty((len(crops), *size, 3), np.uint8)
            height, width = image.shape[:2]
            for one, crop in zip(pictures, crops, strict=True):
                cut(image, crop, out=one)
                one[...] = evened(one, crop, height=height, width=width)
            return list(backend.infer(pictures)) if len(crops) else []

        return infer


def places_of(search: CandidateSearch, shown: Picture) -> Iterator[Place]:
    """The candidates of a picture of which it is known whether they are faces; each face once."""
    kind, image, truths, uncertain, has_others = shown
    faces: set[int] = set()
    for box, finder, labels, height in search(image):
        overlaps = [box.overlap(truth) for truth in truths]
        overlap = max(overlaps, default=0.0)
        near = max((box.overlap(other) for other in uncertain), default=0.0)
        is_face = overlap >= HIT
        is_known = is_face or (overlap <= ASIDE and near <= ASIDE and not has_others)
        if not is_known:
            continue
        if is_face:
            face = overlaps.index(overlap)
            if face in faces:
                continue
            faces.add(face)
        yield Place(finder=finder, labels=labels, height=height, is_face=is_face, kind=kind)


def _table(
    likely: npt.NDArray[np.float64], is_face: npt.NDArray[np.bool_], kinds: npt.NDArray[np.str_]
) -> str:
    """How often a rule is right, by threshold."""
    lines = [
        "| threshold | faces missed | false: nobody | portrait | composite |",
        "| --- | --- | --- | --- | --- |",
    ]
    for least in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        taken = likely >= least
        false = " | ".join(
            str(int((taken & ~is_face & (kinds == kind)).sum()))
            for kind in ("nobody", "portrait", "composite")
        )
        lines.append(f"| {least} | {int((~taken & is_face).sum())} | {false} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Collect candidates, fit and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.faces.confirmation")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--finder", type=Path, help="a finder's checkpoint; the shipped one")
    parser.add_argument("--model", help="a labelling model; the shipped one")
    parser.add_argument("--portraits", type=int, default=1000, help="of each data set, at most")
    parser.add_argument("--scenes", type=int, default=120, help="composites")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    search = CandidateSearch(options.finder, options.model, threads=options.threads)
    places = [
        place
        for shown in pictures(options.data, portraits=options.portraits, scenes=options.scenes)
        for place in places_of(search, shown)
    ]
    is_face = np.array([place.is_face for place in places])
    features = np.column_stack(
        (
            logits_of(np.array([place.finder for place in places]), least=_LEAST_FINDER),
            logits_of(np.array([place.labels for place in places]), least=_LEAST_LABELS),
            np.array([smallness(place.height) for place in places]),
        )
    )
    weights = fit_logistic(features, is_face)
    weights[-1] -= CAUTION
    sys.stdout.write(f"{len(places)} places, {int(is_face.sum())} faces\n")
    kinds = np.array([place.kind for place in places])
    for name, rule in (("fitted", weights), ("in use", np.array(IN_USE))):
        likely = 1 / (1 + np.exp(-(features @ rule[:-1] + rule[-1])))
        sys.stdout.write(
            f"\n{name}: finder {rule[0]:.2f}, labels {rule[1]:.2f}, size {rule[2]:.2f}, "
            f"shift {rule[3]:.2f}; where there is nobody, at most "
            f"{likely[kinds == 'nobody'].max(initial=0.0):.2f}\n\n{_table(likely, is_face, kinds)}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Calibrate a finder's scores so that they are probabilities, and measure how good they are.

The scale and shift of the scores' logits are fitted to whether detections in held-out views and
pictures were right (Platt, Advances in Large Margin Classifiers, 1999); a reliability diagram shows
the remaining error (Guo et al., ICML 2017).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtseg.checkpoint import Checkpoint
from rtseg.faces.finder import calibrated
from rtseg.faces.tiles import tile_picture
from rtseg.frames import Image
from rtseg.geometry.crop import cut
from rtseg.geometry.exposure import evened
from rtseg.models import create_model
from training.augment.busts import Bust, middle_of, upright_size
from training.augment.face_maps import PlacedFace
from training.evaluation.face_finding import Finding, View, measure_finding, measure_views
from training.evaluation.markdown import table

BINS = 10
"""Number of bins of equal width in the diagram."""

Bin = tuple[int, float, float]
"""Number of detections, their mean score, and the share of them that are faces."""

_STEPS = 50
_CLOSE = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibrated:
    """A finder's calibration, and the measurements behind it.

    Attributes:
        calibration: see `ModelSpec`.
        scores, is_face: the network's score of each detection, and whether it is a face.
        findings: results in composites, and in portraits and face-free pictures.
    """

    calibration: tuple[float, float]
    scores: npt.NDArray[np.float64]
    is_face: npt.NDArray[np.bool_]
    findings: Sequence[tuple[str, Finding]]

    @property
    def before(self) -> list[Bin]:
        """The reliability of the uncalibrated scores."""
        return reliability(self.scores, self.is_face)

    @property
    def now(self) -> list[Bin]:
        """The reliability of the calibrated scores."""
        return reliability(after(self.scores, self.calibration), self.is_face)

    def markdown(self) -> str:
        """Format tables: the reliability, and what each threshold would find."""
        parts = [
            f"off by {expected_error(self.before):.3f} as trained, "
            f"{expected_error(self.now):.3f} calibrated\n\n{reliability_table(self.now)}"
        ]
        for name, finding in self.findings:
            parts.append(f"{name}\n\n{thresholds_table(finding, self.calibration)}")
        return "\n".join(parts)


def calibrate_finder(model: Checkpoint, data: Path, *, split: str, views: int) -> Calibrated:
    """Run the finder on a split's composites, portraits and face-free pictures; fit its scores."""
    from training.augment.face_scenes import FaceScenes, SceneSettings
    from training.data.face_busts import busts, faceless

    spec = model.spec
    people, pictures = busts(data, split), faceless(data, split)
    network = create_model(model)
    size = SceneSettings(height=spec.input_height, width=spec.input_width)
    scenes = FaceScenes(busts=people, backgrounds=pictures, settings=size, seed=2_000_000)
    normalisation = {"mean": spec.mean, "std": spec.std}
    portraits = [bust for kind, _ in people for bust in kind]
    whole = views_of(portraits, pictures, height=spec.input_height, width=spec.input_width)
    findings = (
        ("Composites", measure_finding(network, scenes, count=views, **normalisation)),
        ("Portraits, and pictures of nobody", measure_views(network, whole, **normalisation)),
    )
    scores, is_face = detections_of(*(finding for _, finding in findings))
    return Calibrated(
        calibration=fit_calibration(scores, is_face),
        scores=scores,
        is_face=is_face,
        findings=findings,
    )


def view_of(image: Image, bust: Bust | None, *, height: int, width: int) -> View:
    """Letterbox a whole picture to a finder's input size; return it with its one face, if any.

    Args:
        image: RGB uint8 of any size.
        bust: the person in the picture; None if it shows nobody.
        height, width: the network's input size in pixels.
    """
    whole = tile_picture(*image.shape[:2], aspect=width / height, stretch=False).whole
    view = np.empty((height, width, 3), np.uint8)
    cut(image, whole, out=view)
    view = evened(view, whole, height=image.shape[0], width=image.shape[1])
    if bust is None:
        return view, [], []
    scale = height / whole.box.height
    outline = (bust.outline - (whole.box.left, whole.box.top)) * scale
    wide, tall = upright_size(outline, bust.roll_degrees)
    x, y = middle_of(outline, bust.roll_degrees)
    (left, top), (right, bottom) = outline.min(0), outline.max(0)
    face = PlacedFace(
        x=x,
        y=y,
        width=wide,
        height=tall,
        roll_degrees=bust.roll_degrees,
        visible=1.0,
        box=(round(left), round(top), round(right), round(bottom)),
    )
    return view, [face], []


def views_of(
    people: Sequence[Bust], faceless: Sequence[Image], *, height: int, width: int
) -> Iterator[View]:
    """Portraits of people who are alone in their picture, and face-free pictures."""
    for bust in people:
        if not bust.shows_others:
            image = np.ascontiguousarray(bust.levels[0][..., :3])
            yield view_of(image, bust, height=height, width=width)
    for image in faceless:
        yield view_of(image, None, height=height, width=width)


def detections_of(*findings: Finding) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """The scores of all detections, and whether each is a face."""
    hits = list(itertools.chain.from_iterable(finding.scores for finding in findings))
    hits = [score for score in hits if score > 0]
    false = list(itertools.chain.from_iterable(finding.false_scores for finding in findings))
    scores = np.array([*hits, *false], np.float64)
    return scores, np.arange(len(scores)) < len(hits)


def fit_calibration(
    scores: npt.NDArray[np.float64], is_face: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Fit the scale and shift of the logits by maximum likelihood.

    Args:
        scores: of detections, 0..1.
        is_face: whether each is a face; both must occur.

    Raises:
        ValueError: only one of them occurs.
    """
    scale, shift = fit_logistic(logits_of(scores)[:, None], is_face)
    return float(scale), float(shift)


def logits_of(scores: npt.NDArray[np.float64], *, least: float = 1e-6) -> npt.NDArray[np.float64]:
    """The log-odds of scores, clipped to `least` and 1 - `least`."""
    inside = np.clip(scores, least, 1 - least)
    odds: npt.NDArray[np.float64] = np.log(inside / (1 - inside))
    return odds


def fit_logistic(
    features: npt.NDArray[np.float64], is_face: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Fit a logistic regression; return its weights, the shift last: float64 (features + 1,).

    Args:
        features: float64 (detections, features).
        is_face: bool (detections,); both values must occur.

    Raises:
        ValueError: only one of them occurs.
    """
    number = int(is_face.sum())
    if not 0 < number < len(is_face):
        raise ValueError(
            f"{number} of {len(is_face)} detections are faces: "
            "both kinds are needed for a calibration"
        )
    # Platt's targets: a few more detections on either side keep the weights finite if separable
    targets = np.where(is_face, (number + 1) / (number + 2), 1 / (len(is_face) - number + 2))
    columns = np.column_stack((features, np.ones(len(features))))
    weights = np.zeros(columns.shape[1])
    for _ in range(_STEPS):  # Newton's method: the likelihood has a single maximum
        likely = 1 / (1 + np.exp(-columns @ weights))
        slope = columns.T @ (targets - likely)
        bend = (columns * (likely * (1 - likely))[:, None]).T @ columns
        step = np.linalg.solve(bend + 1e-9 * np.eye(len(weights)), slope)
        weights = weights + step
        if np.abs(step).max() < _CLOSE:
            break
    return weights


def reliability(scores: npt.NDArray[np.float64], is_face: npt.NDArray[np.bool_]) -> list[Bin]:
    """Count detections, their mean score and the share that are faces, by bins of scores."""
    rows = []
    for low in np.arange(BINS) / BINS:
        inside = (scores >= low) & (scores < low + 1 / BINS + (low + 1 / BINS >= 1))
        count = int(inside.sum())
        rows.append(
            (count, float(scores[inside].mean()), float(is_face[inside].mean()))
            if count
            else (0, float("nan"), float("nan"))
        )
    return rows


def expected_error(rows: Sequence[Bin]) -> float:
    """The expected calibration error: the scores' mean deviation, over all detections."""
    total = sum(count for count, _, _ in rows)
    return sum(count * abs(mean - share) for count, mean, share in rows if count) / max(1, total)


def after(
    scores: npt.NDArray[np.float64], calibration: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Apply a calibration to scores."""
    return calibrated(scores.astype(np.float32), calibration).astype(np.float64)


def reliability_table(rows: Sequence[Bin]) -> str:
    """Format the bins that contain detections in Markdown."""
    lines = [
        [
            f"{index / BINS:.1f} to {(index + 1) / BINS:.1f}",
            str(count),
            f"{mean:.2f}",
            f"{precision:.2f}",
        ]
        for index, (count, mean, precision) in enumerate(rows)
        if count
    ]
    return table(("score", "detections", "mean score", "are faces"), lines)


def thresholds_table(finding: Finding, calibration: tuple[float, float]) -> str:
    """Format in Markdown what each threshold finds in the views, and its false detections."""
    hits = after(np.array(finding.scores), calibration)
    false = after(np.array(finding.false_scores), calibration)
    empty = after(np.array(finding.faceless_scores), calibration)
    lines = [
        [
            f"{least:.1f}",
            f"{(hits >= least).mean():.3f}",
            f"{(false >= least).sum() / max(1, finding.views):.3f}",
            f"{(empty >= least).mean():.3f}" if len(empty) else "",
        ]
        for least in np.arange(1, BINS) / BINS
    ]
    return table(("threshold", "faces found", "false a view", "of views without a face"), lines)


def draw_diagram(calibrated: Calibrated, path: Path) -> None:
    """Plot the reliability of scores before and after calibration into a PNG.

    Raises:
        SettingError: matplotlib is missing.
    """
    from training.evaluation.report import figure

    drawn = figure(5.2, 4.2)
    axes = drawn.add_subplot()
    axes.plot((0, 1), (0, 1), color="#999999", linewidth=1)
    for name, rows, colour in (
        ("as trained", calibrated.before, "#c08a3e"),
        ("calibrated", calibrated.now, "#2f6f9f"),
    ):
        points = [(mean, share) for count, mean, share in rows if count]
        label = f"{name}, off by {expected_error(rows):.3f}"
        axes.plot(*zip(*points, strict=True), marker="o", color=colour, label=label)
    axes.set_xlabel("score")
    axes.set_ylabel("share of detections that are faces")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.legend(loc="upper left")
    drawn.savefig(path)

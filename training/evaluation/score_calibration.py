"""How likely a finder's detection is a face: its scores made probabilities, and how good they are.

The scale and the shift of the scores' logits are fitted to what detections in held-out views and
pictures turned out to be (Platt, Advances in Large Margin Classifiers, 1999); a reliability diagram
shows what is left (Guo et al., ICML 2017).
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
from rtseg.models import create_model
from training.augment.busts import Bust, middle_of, upright_size
from training.augment.face_maps import PlacedFace
from training.evaluation.face_finding import Finding, View, measure_finding, measure_views
from training.evaluation.markdown import table

BINS = 10
"""Of equal width, of the diagram."""

Bin = tuple[int, float, float]
"""Detections, their mean score, and the share of them that are faces."""

_STEPS = 50
_CLOSE = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibrated:
    """What was measured of a finder's scores.

    Attributes:
        calibration: see `ModelSpec`.
        scores, is_face: of the detections, as the network gives them, and whether each is a face.
        findings: what was found in composites, and in portraits and pictures of nobody.
    """

    calibration: tuple[float, float]
    scores: npt.NDArray[np.float64]
    is_face: npt.NDArray[np.bool_]
    findings: Sequence[tuple[str, Finding]]

    @property
    def before(self) -> list[Bin]:
        """The reliability of the scores as they are."""
        return reliability(self.scores, self.is_face)

    @property
    def now(self) -> list[Bin]:
        """The same of calibrated ones."""
        return reliability(after(self.scores, self.calibration), self.is_face)

    def markdown(self) -> str:
        """Tables: reliability, and what each threshold would find."""
        parts = [
            f"off by {expected_error(self.before):.3f} as trained, "
            f"{expected_error(self.now):.3f} calibrated\n\n{reliability_table(self.now)}"
        ]
        for name, finding in self.findings:
            parts.append(f"{name}\n\n{thresholds_table(finding, self.calibration)}")
        return "\n".join(parts)


def calibrate_finder(model: Checkpoint, data: Path, *, split: str, views: int) -> Calibrated:
    """Look at a split's composites, portraits and pictures of nobody, and fit a calibration."""
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
    """A whole picture as a finder sees it, letterboxed, and its one face.

    Args:
        image: RGB uint8 of any size.
        bust: whose picture it is; None where it shows nobody.
        height, width: of the network's input, pixels.
    """
    whole = tile_picture(*image.shape[:2], aspect=width / height, stretch=False).whole
    view = np.empty((height, width, 3), np.uint8)
    cut(image, whole, out=view)
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
    """Portraits of people who are alone in their picture, and pictures of nobody."""
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
    """The scale and the shift of the logits under which what happened is likeliest.

    Args:
        scores: of detections, 0..1.
        is_face: whether each is one; some must be, and some not.

    Raises:
        ValueError: all are, or none is.
    """
    scale, shift = fit_logistic(logits_of(scores)[:, None], is_face)
    return float(scale), float(shift)


def logits_of(scores: npt.NDArray[np.float64], *, least: float = 1e-6) -> npt.NDArray[np.float64]:
    """The log-odds of scores, none nearer to 0 or 1 than `least`."""
    inside = np.clip(scores, least, 1 - least)
    odds: npt.NDArray[np.float64] = np.log(inside / (1 - inside))
    return odds


def fit_logistic(
    features: npt.NDArray[np.float64], is_face: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """The weights of a logistic regression, and its shift last: float64 (features + 1,).

    Args:
        features: float64 (detections, features).
        is_face: bool (detections,); some must be, and some not.

    Raises:
        ValueError: all are, or none is.
    """
    number = int(is_face.sum())
    if not 0 < number < len(is_face):
        raise ValueError(f"{number} of {len(is_face)} detections are faces: nothing to tell apart")
    # Platt's targets: a few detections more on either side keep a perfect separation finite
    targets = np.where(is_face, (number + 1) / (number + 2), 1 / (len(is_face) - number + 2))
    columns = np.column_stack((features, np.ones(len(features))))
    weights = np.zeros(columns.shape[1])
    for _ in range(_STEPS):  # Newton's method: the likelihood has one peak
        likely = 1 / (1 + np.exp(-columns @ weights))
        slope = columns.T @ (targets - likely)
        bend = (columns * (likely * (1 - likely))[:, None]).T @ columns
        step = np.linalg.solve(bend + 1e-9 * np.eye(len(weights)), slope)
        weights = weights + step
        if np.abs(step).max() < _CLOSE:
            break
    return weights


def reliability(scores: npt.NDArray[np.float64], is_face: npt.NDArray[np.bool_]) -> list[Bin]:
    """Detections, their mean score and the share that are faces, a bin of scores each."""
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
    """By how much scores are off, the mean over detections: the expected calibration error."""
    total = sum(count for count, _, _ in rows)
    return sum(count * abs(mean - share) for count, mean, share in rows if count) / max(1, total)


def after(
    scores: npt.NDArray[np.float64], calibration: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Scores as the finder gives them with this calibration."""
    return calibrated(scores.astype(np.float32), calibration).astype(np.float64)


def reliability_table(rows: Sequence[Bin]) -> str:
    """Markdown: a line a bin that holds detections."""
    lines = [
        [f"{index / BINS:.1f} to {(index + 1) / BINS:.1f}", str(count), f"{mean:.2f}", f"{got:.2f}"]
        for index, (count, mean, got) in enumerate(rows)
        if count
    ]
    return table(("score", "detections", "mean score", "are faces"), lines)


def thresholds_table(finding: Finding, calibration: tuple[float, float]) -> str:
    """Markdown: what each threshold finds of the views, and what it wrongly takes for a face."""
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
    """The reliability diagram of scores before and after, as a PNG.

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

"""Quantise a checkpoint to INT8 on training views, and compare it with FP32.

Both models run as in production: in OpenVINO, with labels from `rtseg.postprocess`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from rtseg.backends.base import Backend
from rtseg.backends.openvino import OpenVinoBackend
from rtseg.checkpoint import Checkpoint, ModelSpec, read_checkpoint
from rtseg.errors import ModelError, SettingError, SourceError
from rtseg.export import OnnxModel, Quantization, exported_path, parse_onnx
from rtseg.export.onnx import export_onnx
from rtseg.export.quantize import MEASURED_FIRST, quantize_onnx, with_measurement
from rtseg.frames import Image, LabelMap
from rtseg.postprocess import whole_labels
from rtseg.system.files import write_whole
from training.augment.pictures import fitted
from training.data.base import Dataset, Sample, read_image
from training.evaluation.metrics import Matrix, f1_of, mean_of
from training.evaluation.predictor import evaluate
from training.recipes.base import Recipe

PICTURES = 300
"""Default number of calibration pictures."""

_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantized:
    """The result of a quantisation and its accuracy.

    Attributes:
        path: the INT8 model's file.
        quantization: the description in the file.
        fp32, int8: confusion matrices on the labelled pictures; None without any.
    """

    path: Path
    quantization: Quantization
    fp32: Matrix | None = None
    int8: Matrix | None = None


def recipe_crops(
    recipe: Recipe, data: Path, model: Checkpoint, *, count: int, seed: int
) -> list[Image]:
    """The first training views of a recipe, at the network's input size.

    Raises:
        SourceError: a picture is missing or broken.
    """
    views = recipe.training(data, dataclasses.replace(recipe.settings, seed=seed)).views
    return [_fitted(views[index][0], model.spec) for index in range(count)]


def folder_crops(folder: Path, model: Checkpoint, *, count: int, seed: int) -> list[Image]:
    """Random crops of a folder's pictures (recursively) at a network's input size.

    For a model that processes faces they are squares of half to all of the shorter side, anywhere;
    for one that processes whole frames they are whole pictures.

    Raises:
        SourceError: the folder contains no pictures, or one cannot be decoded.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise SourceError(f"{folder}: holds no picture ({', '.join(sorted(_SUFFIXES))})")
    rng = np.random.default_rng(seed)
    crops = []
    for index in range(count):
        if index % len(paths) == 0:
            order = rng.permutation(len(paths))
        image = read_image(paths[order[index % len(paths)]])
        if model.spec.view == "face":
            image = _square(image, rng)
        crops.append(_fitted(image, model.spec))
    return crops


def quantize_checkpoint(
    weights: Path,
    crops: Sequence[Image],
    *,
    seed: int = 0,
    dataset: Dataset | None = None,
    name: str = "",
    output: Path | None = None,
    say: Callable[[str], None] = lambda _what: None,
) -> Quantized:
    """Quantise a weights file, compare the INT8 model with FP32, and write it.

    Args:
        weights: the checkpoint.
        crops: calibration pictures at its input size.
        seed: the seed that selected them.
        dataset: labelled pictures to measure on; without them `auto` does not use the model.
        name: their name in the file's description.
        output: the file; by default beside the weights, where `auto` looks for it.
        say: called with a description of the current step.

    Raises:
        ModelError: a package is missing, or the model cannot be exported, quantised or written.
        SettingError: the crops do not fit the network.
    """
    checkpoint = read_checkpoint(weights)
    say("exporting in FP32")
    plain = parse_onnx(export_onnx(checkpoint, precision="fp32"), name=str(weights))
    fp32 = int8 = None
    quantization = Quantization(pictures=len(crops), seed=seed)
    for first in MEASURED_FIRST:
        say(f"quantising on {len(crops)} pictures, but for the first {first} convolutions")
        data = quantize_onnx(plain, crops, seed=seed, first=first)
        if dataset is None:
            break
        say(f"measuring on {len(dataset)} pictures")
        quantized = parse_onnx(data, name=str(weights))
        quantization, fp32, int8 = _measured(plain, quantized, dataset)
        quantization = dataclasses.replace(
            quantization,
            pictures=len(crops),
            seed=seed,
            measured_on=f"{name} ({len(dataset)} pictures)",
        )
        data = with_measurement(data, quantization)
        if quantization.is_faithful:
            break
    target = output or exported_path(weights, int8=True)
    try:
        write_whole(target, data)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written: {error.strerror}") from None
    return Quantized(path=target, quantization=quantization, fp32=fp32, int8=int8)


def table(quantized: Quantized, checkpoint: Checkpoint) -> str:
    """Format F1 by class for FP32 and INT8 in Markdown."""
    lines = ["| class | FP32 | INT8 | change |", "| --- | --- | --- | --- |"]
    if quantized.fp32 is None or quantized.int8 is None:
        raise SettingError("a table needs labelled pictures to measure on")
    label_set = checkpoint.spec.label_set
    rows = {label: (place,) for place, label in enumerate(label_set.names)}
    for label, ids in {**rows, **label_set.groups}.items():
        before, after = (f1_of(matrix, ids) for matrix in (quantized.fp32, quantized.int8))
        lines.append(f"| {label} | {before:.4f} | {after:.4f} | {after - before:+.4f} |")
    return "\n".join(lines) + "\n"


def mean_f1(matrix: Matrix, background: int | None) -> float:
    """The mean F1 of all classes that occur, except the background."""
    classes = [place for place in range(len(matrix)) if place != background]
    return mean_of([f1_of(matrix, [place]) for place in classes])


def _measured(
    plain: OnnxModel, quantized: OnnxModel, dataset: Dataset
) -> tuple[Quantization, Matrix, Matrix]:
    label_set = plain.model.label_set
    matrices = []
    labels: list[list[LabelMap]] = []
    for model, precision in ((plain, "fp32"), (quantized, "int8")):
        with OpenVinoBackend(model, precision=precision) as backend:  # type: ignore[arg-type]
            labeller = BackendLabeller(backend)
            size = (plain.model.input_height, plain.model.input_width)
            matrices.append(evaluate(labeller, dataset, size=size, fit=plain.model.fit))
            labels.append(labeller.predicted)
    same = sum(int((a == b).sum()) for a, b in zip(*labels, strict=True))
    fp32, int8 = matrices
    return (
        Quantization(
            pictures=0,
            seed=0,
            agreement=round(same / sum(a.size for a in labels[0]), 5),
            f1=round(mean_f1(int8, label_set.background), 5),
            f1_fp32=round(mean_f1(fp32, label_set.background), 5),
        ),
        fp32,
        int8,
    )


class BackendLabeller:
    """Labels pictures with a backend, and keeps the labels at the network's size in `predicted`."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.predicted: list[LabelMap] = []

    def __call__(self, images: Sequence[Image]) -> list[LabelMap]:
        """Predict label ids, uint8, each at its picture's size, at most the network's."""
        return [self._label(image) for image in images]

    def _label(self, image: Image) -> LabelMap:
        model = self.backend.model
        height, width = image.shape[:2]
        (map_,) = self.backend.infer(_fitted(image, model)[None])
        labels = whole_labels(map_, height=model.input_height, width=model.input_width)
        top, left = (model.input_height - height) // 2, (model.input_width - width) // 2
        inner = labels[top : top + height, left : left + width]
        self.predicted.append(inner)
        return inner


def _fitted(image: Image, spec: ModelSpec) -> Image:
    """Resize a picture to the network's input."""
    sample = Sample(name="", image=image, labels=np.zeros(image.shape[:2], np.uint8))
    return fitted(sample, height=spec.input_height, width=spec.input_width, fit=spec.fit)[0]


def _square(image: Image, rng: np.random.Generator) -> Image:
    """Cut a square of half to all of the shorter side, anywhere in the picture."""
    height, width = image.shape[:2]
    side = round(min(height, width) * float(rng.uniform(0.5, 1)))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    return image[top : top + side, left : left + side]

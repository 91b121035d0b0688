"""Turn a training run into what ships: weights, exports, hashes, goldens, documentation tables.

One call makes all of them from one checkpoint, so that nothing that is shipped or said is of
another run than the rest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from rtseg.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from rtseg.errors import SettingError, SinkError
from rtseg.export import exported_path
from rtseg.export.onnx import write_onnx
from rtseg.frames import Image
from rtseg.system.files import file_id, write_whole
from training.evaluation.class_bias import measure_biases, with_biases
from training.evaluation.model_card import measure_card
from training.evaluation.predictor import Predictor, evaluated
from training.evaluation.robustness import measure as measure_robustness
from training.evaluation.skin_tone import measure_skin_tones, tone_table
from training.quantize import PICTURES, quantize_checkpoint, recipe_crops, table
from training.recipes import recipe_of
from training.recipes.base import Recipe
from training.trainer import MODEL_FILE, accuracy_of

HASHES = "SHA256SUMS"
"""Beside the weights: the SHA-256 of each of their files, in the form that `sha256sum -c` reads."""

_SHIPPED = (".safetensors", ".onnx")
_PORTRAIT_CROP = (slice(0, 256), slice(96, 352))
"""Of scikit-image's portrait of an astronaut: head and shoulders."""

Say = Callable[[str], None]


def release(
    run: Path,
    *,
    data: Path,
    weights: Path,
    goldens: Path | None = None,
    documentation: Path | None = None,
    with_report: bool = False,
    calibration: int = PICTURES,
    seed: int = 0,
    say: Say = lambda what: None,
) -> list[Path]:
    """Make everything that ships from a run.

    Args:
        run: a run's folder, or a checkpoint.
        data: the data folder: for the figures, and for the INT8 model's calibration.
        weights: the folder that the files go to, under the name of the run's recipe.
        goldens: the folder of the label map that the model makes of a portrait; none if not given.
        documentation: a Markdown file whose `<!-- measured: NAME -->` blocks are filled; none if
            not given.
        with_report: also measure on the `report` splits, which are for a released model, once.
        calibration: pictures that the INT8 model is calibrated on.
        seed: of their choice.
        say: called with a line about each step.

    Returns:
        The files, in the order in which they were written.

    Raises:
        SettingError: the recipe is unknown, or the documentation has no place for a table.
        ModelError: the checkpoint cannot be read, exported or quantised.
        SinkError: a file cannot be written.
        SourceError: data is missing.
    """
    source = run / MODEL_FILE if run.is_dir() else run
    model = read_checkpoint(source)
    recipe = recipe_of(str(model.spec.provenance.get("recipe", "")))
    text = _read_documentation(documentation) if documentation is not None else ""
    name = recipe.name
    target = weights / f"{name}.safetensors"
    if file_id(source) == file_id(target):
        raise SettingError(f"{source}: is what already ships; give a run's folder or checkpoint")
    model = dataclasses.replace(
        model, spec=dataclasses.replace(model.spec, label_set=recipe.spec.label_set)
    )  # its colours and groups may be newer than the run
    if recipe.rare or recipe.oversampled:
        say(f"measuring: thresholds of {', '.join((*recipe.rare, *recipe.oversampled))}")
        model = _balanced(model, recipe, data)
    say(f"writing {target}")
    weights.mkdir(parents=True, exist_ok=True)
    _write(model, target)
    model = read_checkpoint(target)
    written = [target, exported_path(target)]
    say(f"exporting {written[-1]}")
    write_onnx(model, written[-1])
    tables: dict[str, str] = {}
    if recipe.figures is None:
        quantized = quantize_checkpoint(
            target,
            recipe_crops(recipe, data, model, count=calibration, seed=seed),
            seed=seed,
            dataset=recipe.evaluation(data, recipe.splits[0]),
            name=recipe.splits[0],
            say=say,
        )
        written.append(quantized.path)
        measured = quantized.quantization
        tables["int8"] = (
            f"{measured.agreement:.2%} of the labels are FP32's; mean F1 {measured.f1:.4f}, FP32 "
            f"{measured.f1_fp32:.4f} ({measured.measured_on}).\n\n{table(quantized, model)}"
        )
        if documentation is not None:
            tables |= _tables(model, recipe, data, with_report=with_report, say=say)
        if goldens is not None:
            written.append(write_golden(model, goldens / f"{name}.png"))
    written.append(write_hashes(weights))
    if documentation is not None:
        _write_text(documentation, filled(text, tables, name=str(documentation)))
        written.append(documentation)
    return written


def _balanced(model: Checkpoint, recipe: Recipe, data: Path) -> Checkpoint:
    names = model.spec.label_set.names
    dataset = recipe.evaluation(data, recipe.splits[0])
    measured = measure_biases(
        Predictor.of_checkpoint(model), dataset, [names.index(name) for name in recipe.rare]
    )
    biases = {index: bias for index, (bias, _, _) in measured.items()}
    biases |= {names.index(name): -math.log(times) for name, times in recipe.oversampled.items()}
    changed = with_biases(model, biases)
    accuracy = accuracy_of(recipe, evaluated(changed, dataset))
    return dataclasses.replace(changed, spec=dataclasses.replace(changed.spec, accuracy=accuracy))


def _write(model: Checkpoint, target: Path) -> None:
    try:
        write_checkpoint(model, target, half=True)
    except OSError as error:
        raise SinkError(f"{target}: cannot be written: {error.strerror}") from None


def _tables(
    model: Checkpoint, recipe: Recipe, data: Path, *, with_report: bool, say: Say
) -> dict[str, str]:
    def measuring(what: str) -> None:
        say(f"measuring: {what}")

    parts = ("val", "report") if with_report else ("val",)
    card = measure_card(model, recipe, data, parts=parts, say=measuring)
    predictor = Predictor.of_checkpoint(model)
    tables = {
        "accuracy": card.accuracy_markdown(model.spec.label_set),
        "masked faces": card.masked_markdown(),
    }
    tones = []
    for part in parts:
        measuring(f"skin tones, {part}")
        pooled = [recipe.evaluation(data, f"{name}-{part}") for name in ("celebamask", "helen")]
        tones.append(f"`{part}`:\n\n{tone_table(measure_skin_tones(predictor, pooled))}")
    tables["skin tones"] = "\n".join(tones)
    robustness = measure_robustness(predictor, model.spec.label_set, data, say=measuring)
    tables["robustness"] = robustness.markdown()
    return tables


def portrait() -> Image:
    """The crop that goldens are made of: NASA's portrait of Eileen Collins, in the public domain.

    Raises:
        SettingError: scikit-image, which carries it, is not installed.
    """
    try:
        import skimage.data
    except ImportError:
        raise SettingError(
            "goldens need scikit-image, which is not installed; install it with: "
            "pip install 'rtseg[test]'"
        ) from None
    picture: Image = np.ascontiguousarray(skimage.data.astronaut()[_PORTRAIT_CROP])
    return picture


def write_golden(model: Checkpoint, path: Path) -> Path:
    """Write the label map that a model makes of `portrait`, an 8-bit PNG of ids; its path."""
    (labels,) = Predictor.of_checkpoint(model)([portrait()])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, bytes(cv2.imencode(".png", labels)[1]))
    return path


def write_hashes(folder: Path) -> Path:
    """Write `SHA256SUMS` for every weights file of a folder; its path."""
    path = folder / HASHES
    lines = [f"{digest}  {name}\n" for name, digest in hashes_of(folder).items()]
    write_whole(path, "".join(lines).encode())
    return path


def hashes_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of every weights file of a folder by name, sorted."""
    files = sorted(path for path in folder.iterdir() if path.suffix in _SHIPPED)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def filled(text: str, tables: Mapping[str, str], *, name: str) -> str:
    """A Markdown text whose `<!-- measured: NAME -->` … `<!-- /measured -->` blocks hold tables.

    Raises:
        SettingError: a table has no block.
    """
    for key, content in tables.items():
        block = re.compile(
            rf"(<!-- measured: {re.escape(key)} -->\n).*?(<!-- /measured -->)", flags=re.DOTALL
        )
        if not block.search(text):
            raise SettingError(
                f"{name}: has no place for the table {key!r}: two lines, "
                f"<!-- measured: {key} --> and <!-- /measured -->"
            )
        text = block.sub(partial(_with_body, content), text)
    return text


def _with_body(body: str, block: re.Match[str]) -> str:
    return f"{block[1]}\n{body}\n{block[2]}"


def _read_documentation(path: Path) -> str:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise SettingError(f"{path}: cannot be read: {error.strerror}") from None
    filled(text, dict.fromkeys(_PLACES, ""), name=str(path))  # before hours of measuring
    return text


_PLACES: Sequence[str] = ("int8", "accuracy", "masked faces", "skin tones", "robustness")


def _write_text(path: Path, text: str) -> None:
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror}") from None

"""From an exported model to a running TensorRT backend: find or build its engine, compare it with
FP32, and rebuild it once if it does not load."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from rtseg.backends.parity import label_agreement, open_reference, portrait_crops
from rtseg.backends.tensorrt.backend import TensorRtBackend, open_engine
from rtseg.backends.tensorrt.manifest import Engine, Manifest, StaleEngineError
from rtseg.backends.tensorrt.progress import Progress
from rtseg.backends.tensorrt.recipe import EngineRecipe, shipped_recipes
from rtseg.backends.tensorrt.store import ParityCheck, find_engine, prepare_engine
from rtseg.backends.tensorrt.target import Target, this_machine
from rtseg.errors import BackendError, ModelError, SettingError
from rtseg.export import OnnxModel, parse_onnx
from rtseg.export.precision import widen
from rtseg.settings import Precision

_log = logging.getLogger("rtseg")


def recipe_for(name: str, *, precision: Precision = "auto") -> EngineRecipe:
    """The shipped recipe with that name, or a plain one, in the requested precision.

    Raises:
        SettingError: TensorRT engines cannot be built in that precision.
    """
    recipe = shipped_recipes().get(name) or EngineRecipe(name=name)
    if precision == "auto":
        return recipe
    if precision == "bf16":
        raise SettingError(
            "precision 'bf16' does not run with tensorrt; allowed: auto, fp32, fp16, int8"
        )
    return replace(recipe, precision=precision)


def in_precision(exported: OnnxModel, recipe: EngineRecipe) -> OnnxModel:
    """Convert the exported model to the recipe's precision.

    Raises:
        ModelError: it was exported in another precision and cannot be converted.
    """
    if exported.precision == recipe.precision:
        return exported
    if recipe.precision == "fp32" and exported.precision == "fp16":
        return parse_onnx(widen(exported.data), name=recipe.name)
    remedy = (
        "`python -m training quantize` makes one in INT8"
        if recipe.precision == "int8"
        else f"`rtseg engine export --precision {recipe.precision}` exports it again"
    )
    raise ModelError(
        f"engine {recipe.name!r} is to compute in {recipe.precision}, but its model was exported "
        f"in {exported.precision}; {remedy}"
    )


def parity_check_of(
    exported: OnnxModel, *, weights: Path | None, device_index: int = 0
) -> ParityCheck:
    """Make the comparison of a new engine with FP32 on the processor."""

    def check(plan: bytes, manifest: Manifest) -> float | None:
        reference = open_reference(exported, weights=weights)
        if reference is None:
            return None
        crops = portrait_crops(exported.model)
        with (
            reference,
            TensorRtBackend(
                plan, manifest, device_index=device_index, cuda_graphs=False
            ) as backend,
        ):
            return label_agreement(backend.infer(crops), reference.infer(crops))

    return check


def build_engine(
    exported: OnnxModel,
    recipe: EngineRecipe,
    target: Target,
    *,
    weights: Path | None = None,
    on_progress: Progress | None = None,
    replacing: Engine | None = None,
) -> Engine:
    """Call `prepare_engine` with the model in the recipe's precision; on this machine's GPU, the
    the engine is compared with FP32.

    Args:
        exported: the model.
        recipe: the settings of the build.
        target: the library and the GPU to build for.
        weights: the model file that it was exported from, for the comparison.
        on_progress: called with the progress of a build.
        replacing: an engine that does not load.
    """
    index = 0 if target.gpu is None else target.gpu.index
    return prepare_engine(
        in_precision(exported, recipe),
        recipe,
        target,
        parity_check=parity_check_of(exported, weights=weights, device_index=index),
        on_progress=on_progress,
        replacing=replacing,
    )


def open_built(
    exported: OnnxModel, recipe: EngineRecipe, *, device_index: int = 0
) -> TensorRtBackend | None:
    """Open a running backend if its engine has been built; otherwise return None.

    Raises:
        BackendError: TensorRT cannot be used on this machine, or the engine does not load.
    """
    engine = find_engine(in_precision(exported, recipe), recipe, this_machine(device_index))
    return None if engine is None else open_engine(engine, device_index=device_index)


def open_tensorrt(
    exported: OnnxModel,
    recipe: EngineRecipe,
    *,
    weights: Path | None = None,
    device_index: int = 0,
    on_progress: Progress | None = None,
) -> TensorRtBackend:
    """Open a running backend; its engine is built first if necessary, which takes a while.

    Raises:
        BackendError: TensorRT cannot be used on this machine, or the engine does not load even
            after a rebuild.
    """
    target = this_machine(device_index)
    engine = build_engine(exported, recipe, target, weights=weights, on_progress=on_progress)
    try:
        return open_engine(engine, device_index=device_index)
    except StaleEngineError as error:
        _log.warning("%s; rebuilding it", error)
    engine = build_engine(
        exported, recipe, target, weights=weights, on_progress=on_progress, replacing=engine
    )
    try:
        return open_engine(engine, device_index=device_index)
    except StaleEngineError as error:
        raise BackendError(
            f"{error}; it was just built on this machine, so TensorRT's installation does not fit "
            "the driver: `rtseg doctor` shows both; `backend` torch runs without TensorRT"
        ) from error

"""From an exported model to a running TensorRT backend: find its engine or build it, hold it
against FP32, and build it anew once where it does not load."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from rtseg.backends.parity import label_agreement, open_reference, portrait_crops
from rtseg.backends.tensorrt import (
    Engine,
    EngineRecipe,
    Manifest,
    ParityCheck,
    Progress,
    StaleEngineError,
    find_engine,
    prepare_engine,
    shipped_recipes,
)
from rtseg.backends.tensorrt.backend import TensorRtBackend
from rtseg.errors import BackendError, ModelError, SettingError
from rtseg.export import OnnxModel, parse_onnx
from rtseg.export.precision import widen
from rtseg.settings import Precision

_log = logging.getLogger("rtseg")


def recipe_for(name: str, *, precision: Precision = "auto") -> EngineRecipe:
    """The shipped recipe of that name or a plain one, with the precision that was asked for.

    Raises:
        SettingError: TensorRT engines are not built in that precision.
    """
    recipe = shipped_recipes().get(name) or EngineRecipe(name=name)
    if precision == "auto":
        return recipe
    if precision == "bf16":
        raise SettingError("precision 'bf16' does not run with tensorrt; allowed: auto, fp32, fp16")
    return replace(recipe, precision=precision)


def in_precision(exported: OnnxModel, recipe: EngineRecipe) -> OnnxModel:
    """The exported model in the recipe's precision.

    Raises:
        ModelError: it was exported in FP32 and is wanted in FP16.
    """
    if exported.precision == recipe.precision:
        return exported
    if recipe.precision == "fp16":
        raise ModelError(
            f"engine {recipe.name!r} is to compute in fp16, but its model was exported in fp32; "
            "`rtseg engine export --precision fp16` makes it anew"
        )
    return parse_onnx(widen(exported.data), name=recipe.name)


def parity_check_of(exported: OnnxModel, *, weights: Path | None) -> ParityCheck:
    """What compares a new engine with FP32 on the processor."""

    def parity_check(plan: bytes, manifest: Manifest) -> float | None:
        reference = open_reference(exported, weights=weights)
        if reference is None:
            return None
        crops = portrait_crops(exported.model)
        with reference, TensorRtBackend(plan, manifest, cuda_graphs=False) as backend:
            return label_agreement(backend.infer(crops), reference.infer(crops))

    return parity_check


def build_engine(
    exported: OnnxModel,
    recipe: EngineRecipe,
    *,
    weights: Path | None = None,
    on_progress: Progress | None = None,
    replacing: Engine | None = None,
) -> Engine:
    """As `prepare_engine`, for the model in the recipe's precision, compared with FP32.

    Args:
        exported: the model.
        recipe: how it is built.
        weights: the model file that it was exported from, for the comparison.
        on_progress: told how far a build has come.
        replacing: an engine that does not load.
    """
    return prepare_engine(
        in_precision(exported, recipe),
        recipe,
        parity_check=parity_check_of(exported, weights=weights),
        on_progress=on_progress,
        replacing=replacing,
    )


def open_built(exported: OnnxModel, recipe: EngineRecipe) -> TensorRtBackend | None:
    """A running backend where its engine was built before; None where it was not.

    Raises:
        BackendError: TensorRT cannot be used here, or the engine does not load.
    """
    engine = find_engine(in_precision(exported, recipe), recipe)
    return None if engine is None else TensorRtBackend(engine.read(), engine.manifest)


def open_tensorrt(
    exported: OnnxModel,
    recipe: EngineRecipe,
    *,
    weights: Path | None = None,
    on_progress: Progress | None = None,
) -> TensorRtBackend:
    """A running backend; its engine is built first where it was not yet, which takes a while.

    Raises:
        BackendError: TensorRT cannot be used here, or the engine does not load even when it was
            built anew.
    """
    engine = build_engine(exported, recipe, weights=weights, on_progress=on_progress)
    try:
        return TensorRtBackend(engine.read(), engine.manifest)
    except StaleEngineError as error:
        _log.warning("%s; building it anew", error)
    engine = build_engine(
        exported, recipe, weights=weights, on_progress=on_progress, replacing=engine
    )
    try:
        return TensorRtBackend(engine.read(), engine.manifest)
    except StaleEngineError as error:
        raise BackendError(
            f"{error}; it was just built here, so TensorRT's installation does not fit the "
            "driver: `rtseg doctor` shows both; --backend torch runs without TensorRT"
        ) from error

"""Store built engines: where they are kept, which one a machine runs, and when one is built.

An engine is native code that runs with all rights of the process. So only engines that rtseg
itself built are loaded: they are stored in a folder that only their owner can write to, each with a
manifest whose SHA-256 is checked before the engine is passed to TensorRT.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from glob import escape
from pathlib import Path

from rtseg.backends.batching import BATCHES
from rtseg.backends.tensorrt.builder import BuiltPlan, build_plan
from rtseg.backends.tensorrt.kernel_cache import SUFFIX as KERNELS_SUFFIX
from rtseg.backends.tensorrt.manifest import (
    Engine,
    Manifest,
    StaleEngineError,
    manifest_path,
    read_manifest,
)
from rtseg.backends.tensorrt.progress import Progress
from rtseg.backends.tensorrt.recipe import EngineRecipe, checkout
from rtseg.backends.tensorrt.target import Target
from rtseg.errors import BackendError
from rtseg.export.onnx_file import OnnxModel, parse_onnx
from rtseg.export.precision import widen
from rtseg.system.cache import locked, private_folder, user_cache, write_private

FORMAT_VERSION = 2
FOLDER_VARIABLE = "RTSEG_ENGINE_DIR"
LOCK_TIMEOUT_SECONDS = 3600.0

ParityCheck = Callable[[bytes, Manifest], float | None]
"""Compares an engine with FP32 and returns the share of equal labels, 0..1; None if it cannot."""

_log = logging.getLogger("rtseg")


def engine_folder() -> Path:
    """The folder of built engines: $RTSEG_ENGINE_DIR, a checkout's `engines/built`, or the user's
    cache folder."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen)
    source = checkout()
    return user_cache("engines") if source is None else source / "engines" / "built"


def engine_key(exported: OnnxModel, recipe: EngineRecipe, target: Target) -> str:
    """A SHA-256 of everything that an engine depends on: another key means another engine."""
    parts = {
        "format": FORMAT_VERSION,
        "onnx": exported.digest,
        "input": [exported.model.input_height, exported.model.input_width],
        "precision": exported.precision,
        "batches": [batch for batch in BATCHES if batch <= recipe.largest_batch],
        "workspace_mib": recipe.workspace_mib,
        "optimisation_level": recipe.optimisation_level,
        "least_agreement": recipe.least_agreement,
        "flavour": target.library.flavour,
        "tensorrt": target.library.version,
        "architectures": list(target.architectures),
    }
    if target.gpu is not None and not target.architectures:
        parts["gpu"] = [target.gpu.name, target.gpu.compute_capability]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def find_engine(exported: OnnxModel, recipe: EngineRecipe, target: Target) -> Engine | None:
    """The engine that was built for this model, recipe and target; None if there is none yet.

    One that TensorRT-RTX built for several architectures, including this machine's, is accepted.
    """
    key = engine_key(exported, recipe, target)
    engine = _read_engine(_engine_path(recipe, exported, key), key)
    if engine is not None or target.gpu is None or not target.architectures:
        return engine
    for path in sorted(engine_folder().glob(f"{escape(_stem(recipe, exported))}-*.engine")):
        try:
            architectures = read_manifest(manifest_path(path)).architectures
        except StaleEngineError:
            continue
        if set(target.architectures) <= set(architectures):
            wider = engine_key(exported, recipe, replace(target, architectures=architectures))
            engine = _read_engine(path, wider)
            if engine is not None:
                return engine
    return None


def prepare_engine(
    exported: OnnxModel,
    recipe: EngineRecipe,
    target: Target,
    *,
    parity_check: ParityCheck | None = None,
    on_progress: Progress | None = None,
    replacing: Engine | None = None,
) -> Engine:
    """Return the engine for a target: the existing one, or one that is built now.

    If several processes need the same engine, one builds it while the others wait.

    Args:
        exported: the model.
        recipe: the settings of the build.
        target: the library and the GPU to build for.
        parity_check: compares it with FP32; an FP16 engine that fails is built again in FP32.
        on_progress: called with the progress of the build.
        replacing: an engine that does not load and is rebuilt, unless another process just did so.

    Raises:
        BackendError: the build fails, or the folder of engines is not private.
        ModelError: the FP32 form of the model cannot be made.
    """
    key = engine_key(exported, recipe, target)
    private_folder(engine_folder())
    path = _engine_path(recipe, exported, key)

    def usable() -> Engine | None:
        engine = find_engine(exported, recipe, target)
        stale = (
            replacing is not None
            and engine is not None
            and engine.manifest.sha256 == replacing.manifest.sha256
        )
        return None if stale else engine

    engine = usable()
    if engine is not None:
        return engine
    with locked(path, timeout_seconds=LOCK_TIMEOUT_SECONDS):
        engine = usable()
        if engine is not None:
            return engine
        seconds = 2 if target.library.is_rtx else recipe.expected_seconds
        _log.info(
            "building an engine for %s by %s (%s, %s): about %d s, once; kept in %s",
            target.describe(),
            target.library.title,
            recipe.name,
            exported.precision,
            seconds,
            path.parent,
        )
        return _build(path, key, exported, recipe, target, parity_check, on_progress)


def _build(
    path: Path,
    key: str,
    exported: OnnxModel,
    recipe: EngineRecipe,
    target: Target,
    parity_check: ParityCheck | None,
    on_progress: Progress | None,
) -> Engine:
    """Build an engine, compare it with FP32, fall back to FP32 if they differ, and store it."""
    start = time.monotonic()
    timing = path.with_name(_timing_name(target))
    timing_cache = timing.read_bytes() if timing.is_file() else b""
    gpu = target.gpu

    def build(model: OnnxModel, cache: bytes) -> BuiltPlan:
        return build_plan(
            target.library,
            model,
            recipe,
            architectures=target.architectures,
            timing_cache=cache,
            on_progress=on_progress,
        )

    built = build(exported, timing_cache)
    manifest = Manifest(
        name=recipe.name,
        key=key,
        sha256=hashlib.sha256(built.plan).hexdigest(),
        onnx_digest=exported.digest,
        weights_digest=exported.weights_digest,
        header=exported.model.header(),
        largest_batch=recipe.largest_batch,
        asked_precision=exported.precision,
        precision=exported.precision,
        agreement=None,
        flavour=target.library.flavour,
        tensorrt=target.library.version,
        cuda="" if gpu is None else gpu.cuda,
        driver="" if gpu is None else gpu.driver,
        gpu="" if gpu is None else gpu.name,
        compute_capability="" if gpu is None else gpu.compute_capability,
        architectures=target.architectures,
        workspace_mib=built.workspace_mib,
        built=datetime.now(UTC).isoformat(timespec="seconds"),
        build_seconds=0.0,
    )
    check = None if gpu is None else parity_check
    built, manifest = _compared(built, manifest, exported, recipe, check, build)
    manifest = replace(manifest, build_seconds=round(time.monotonic() - start, 2))
    engine = Engine(path=path, manifest=manifest)
    if built.timing_cache:
        write_private(timing, built.timing_cache)
    write_private(engine.layers_path, built.layers.encode())
    write_private(path, built.plan)
    write_private(manifest_path(path), manifest.to_json())
    return engine


def _compared(
    built: BuiltPlan,
    manifest: Manifest,
    exported: OnnxModel,
    recipe: EngineRecipe,
    parity_check: ParityCheck | None,
    build: Callable[[OnnxModel, bytes], BuiltPlan],
) -> tuple[BuiltPlan, Manifest]:
    """Return the engine with its agreement; in FP32 if FP16 does not agree with it."""
    agreement = None if parity_check is None else parity_check(built.plan, manifest)
    manifest = replace(manifest, agreement=agreement)
    if agreement is None:
        why = "no GPU to run it on" if not manifest.gpu else "nothing to compare it with"
        _log.warning("the engine was not compared with FP32: %s", why)
        return built, manifest
    if agreement >= recipe.least_agreement:
        return built, manifest
    if exported.precision != "fp16":
        raise BackendError(
            f"the {exported.precision.upper()} engine labels only {agreement:.2%} of pixels as "
            f"PyTorch does; at least {recipe.least_agreement:.2%} are needed; it was not kept: "
            "use `device` cpu"
        )
    _log.warning(
        "in FP16 only %.2f%% of pixels are labelled as in FP32 (%.2f%% are needed): "
        "building it in FP32 instead, which is slower",
        agreement * 100,
        recipe.least_agreement * 100,
    )
    wide = parse_onnx(widen(exported.data), name=recipe.name)
    built = build(wide, built.timing_cache)
    digest = hashlib.sha256(built.plan).hexdigest()
    manifest = replace(manifest, sha256=digest, precision="fp32", agreement=None)
    return _compared(built, manifest, wide, recipe, parity_check, build)


def list_engines() -> tuple[Engine, ...]:
    """All stored engines, for whatever targets; those with damaged manifests are omitted."""
    engines = []
    for path in sorted(engine_folder().glob("*.engine")):
        try:
            engines.append(Engine(path=path, manifest=read_manifest(manifest_path(path))))
        except StaleEngineError as error:
            _log.warning("%s", error)
    return tuple(engines)


def remove_engines(*, keep: tuple[Path, ...] = ()) -> tuple[Path, ...]:
    """Delete what rtseg built (engines with their files, timing caches, locks); return what was
    deleted.

    Raises:
        BackendError: something cannot be deleted.
    """
    folder, deleted = engine_folder(), []
    kept_stems = {path.stem for path in keep}
    suffixes = (".engine", ".engine.json", ".layers", KERNELS_SUFFIX, ".timing", ".part")
    for path in sorted(path for suffix in suffixes for path in folder.glob("*" + suffix)):
        if any(path.name.startswith(stem + ".") for stem in kept_stems):
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise BackendError(f"{path}: cannot be deleted: {error.strerror}") from None
        deleted.append(path)
    return tuple(deleted)


def _stem(recipe: EngineRecipe, exported: OnnxModel) -> str:
    return f"{recipe.name}-{exported.precision}"


def _engine_path(recipe: EngineRecipe, exported: OnnxModel, key: str) -> Path:
    return engine_folder() / f"{_stem(recipe, exported)}-{key[:16]}.engine"


def _timing_name(target: Target) -> str:
    gpu, library = target.gpu, target.library
    about = f"{library.flavour} {library.version} {target.architectures}"
    if gpu is not None:
        about += f" {gpu.name} {gpu.compute_capability}"
    return f"{hashlib.sha256(about.encode()).hexdigest()[:16]}.timing"


def _read_engine(path: Path, key: str) -> Engine | None:
    """The engine at a path, if it is complete and has that key."""
    if not path.is_file():
        return None
    private_folder(path.parent)
    try:
        engine = Engine(path=path, manifest=read_manifest(manifest_path(path)))
        engine.read()
    except StaleEngineError as error:
        _log.warning("%s", error)
        return None
    return engine if engine.manifest.key == key else None

"""Built TensorRT engines: where they are kept, what is known of each, and when they are built.

An engine is native code that runs with all rights of the process. So only engines that rtseg
itself built are loaded: they lie in a folder that only their owner can write to, and each has a
manifest beside it whose SHA-256 is checked before the engine is handed to TensorRT.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rtseg.backends.tensorrt.builder import BuiltPlan, Progress, build_plan, tensorrt_library
from rtseg.backends.tensorrt.recipe import EngineRecipe
from rtseg.checkpoint import Checkpoint, checkpoint_from_header
from rtseg.errors import BackendError, ModelError
from rtseg.export.onnx_file import OnnxModel, parse_onnx
from rtseg.export.precision import widen
from rtseg.system.cache import locked, private_folder, user_cache, write_private
from rtseg.system.nvidia import Gpu, find_gpu

FORMAT_VERSION = 1
FOLDER_VARIABLE = "RTSEG_ENGINE_DIR"
LOCK_TIMEOUT_SECONDS = 3600.0
MAX_MANIFEST_BYTES = 2**20

_JSON_TYPES: Mapping[str, Any] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "Mapping[str, Any]": dict,
}
"""What a manifest's fields may be, by their annotations."""

ParityCheck = Callable[[bytes, "Manifest"], float | None]
"""Runs an engine beside FP32 and gives the share of equal labels, 0..1; None: it cannot."""

_log = logging.getLogger("rtseg")


class StaleEngineError(BackendError):
    """A built engine is damaged or does not load here; building it anew helps."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is known of a built engine; lies beside it as JSON.

    Attributes:
        name: of the recipe.
        key: what the engine depends on, in one digest (`engine_key`).
        sha256: of the engine file.
        onnx_digest, weights_digest: SHA-256 of what it was built from.
        header: the model's own description, as in its checkpoint.
        usual_batch, largest_batch: of the optimisation profile, which begins at 1.
        asked_precision, precision: what the recipe wanted, and what the engine computes in.
        agreement: share of labels equal to those of FP32 when it was built; None: not compared.
        tensorrt, cuda, driver, gpu, compute_capability: what it was built with and for.
        workspace_mib: memory that kernels could use.
        built: when, ISO 8601, UTC.
        build_seconds: how long that took.
    """

    name: str
    key: str
    sha256: str
    onnx_digest: str
    weights_digest: str
    header: Mapping[str, Any]
    usual_batch: int
    largest_batch: int
    asked_precision: str
    precision: str
    agreement: float | None
    tensorrt: str
    cuda: str
    driver: str
    gpu: str
    compute_capability: str
    workspace_mib: int
    built: str
    build_seconds: float

    @property
    def model(self) -> Checkpoint:
        """The model's description; no weights."""
        return checkpoint_from_header(self.header, path=self.name, digest=self.weights_digest)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A built engine and its manifest. Its bytes are read, and checked, by `read`."""

    path: Path
    manifest: Manifest

    def read(self) -> bytes:
        """The engine's bytes, once their digest is that of the manifest.

        Raises:
            StaleEngineError: the file is missing, or is not what was built.
        """
        try:
            plan = self.path.read_bytes()
        except OSError as error:
            raise StaleEngineError(f"{self.path}: cannot be read: {error.strerror}") from None
        if hashlib.sha256(plan).hexdigest() != self.manifest.sha256:
            raise StaleEngineError(
                f"{self.path}: is not the engine that rtseg built (its SHA-256 differs from its "
                "manifest's); it was not loaded"
            )
        return plan


def engine_folder() -> Path:
    """Where built engines are kept: $RTSEG_ENGINE_DIR, a checkout's own `engines/built`, or the
    user's cache folder."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen)
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "engines").is_dir() and (checkout / "pyproject.toml").is_file():
        return checkout / "engines" / "built"
    return user_cache("engines")


def engine_key(exported: OnnxModel, recipe: EngineRecipe, *, gpu: Gpu, tensorrt: str) -> str:
    """Everything that an engine depends on, as one SHA-256: another key, another engine."""
    parts = {
        "format": FORMAT_VERSION,
        "onnx": exported.digest,
        "input": [exported.model.input_height, exported.model.input_width],
        "precision": exported.precision,
        "batches": [1, recipe.usual_batch, recipe.largest_batch],
        "workspace_mib": recipe.workspace_mib,
        "optimisation_level": recipe.optimisation_level,
        "least_agreement": recipe.least_agreement,
        "tensorrt": tensorrt,
        "gpu": gpu.name,
        "compute_capability": gpu.compute_capability,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def find_engine(exported: OnnxModel, recipe: EngineRecipe) -> Engine | None:
    """The engine that was built for this model, recipe, device and TensorRT; None: not yet.

    Raises:
        BackendError: TensorRT or its device cannot be used here.
    """
    tensorrt, gpu = tensorrt_library(), find_gpu()
    key = engine_key(exported, recipe, gpu=gpu, tensorrt=tensorrt.__version__)
    return _find(_engine_path(recipe, exported, key), key)


def prepare_engine(
    exported: OnnxModel,
    recipe: EngineRecipe,
    *,
    parity_check: ParityCheck | None = None,
    on_progress: Progress | None = None,
    replacing: Engine | None = None,
) -> Engine:
    """The engine for this machine: the one that is there, or one that is built now.

    Of several processes that need the same engine one builds it, and the others wait.

    Args:
        exported: the model.
        recipe: how it is built.
        parity_check: compares it with FP32; an FP16 engine that fails is built again in FP32.
        on_progress: told how far a build has come.
        replacing: an engine that does not load: it is built anew, unless somebody just did.

    Raises:
        BackendError: TensorRT or its device cannot be used here, the build fails, or the folder
            of engines is not private.
        ModelError: the FP32 form of the model cannot be made.
    """
    tensorrt, gpu = tensorrt_library(), find_gpu()
    key = engine_key(exported, recipe, gpu=gpu, tensorrt=tensorrt.__version__)
    private_folder(engine_folder())
    path = _engine_path(recipe, exported, key)

    def found() -> Engine | None:
        engine = _find(path, key)
        stale = (
            replacing is not None
            and engine is not None
            and (engine.manifest.sha256 == replacing.manifest.sha256)
        )
        return None if stale else engine

    engine = found()
    if engine is not None:
        return engine
    with locked(path, timeout_seconds=LOCK_TIMEOUT_SECONDS):
        engine = found()
        if engine is not None:
            return engine
        _log.info(
            "building a TensorRT engine for %s (%s, %s): about %d s, once; kept in %s",
            gpu.name,
            recipe.name,
            exported.precision,
            recipe.expected_seconds,
            path.parent,
        )
        return _build(
            path, key, exported, recipe, gpu, tensorrt.__version__, parity_check, on_progress
        )


def _build(
    path: Path,
    key: str,
    exported: OnnxModel,
    recipe: EngineRecipe,
    gpu: Gpu,
    tensorrt: str,
    parity_check: ParityCheck | None,
    on_progress: Progress | None,
) -> Engine:
    """Build, compare with FP32, fall back to it where they differ, and keep."""
    start = time.monotonic()
    timing = path.with_name(_timing_name(gpu, tensorrt))
    known = timing.read_bytes() if timing.is_file() else b""
    built = build_plan(exported, recipe, timing_cache=known, on_progress=on_progress)
    manifest = Manifest(
        name=recipe.name,
        key=key,
        sha256=hashlib.sha256(built.plan).hexdigest(),
        onnx_digest=exported.digest,
        weights_digest=exported.model.digest,
        header=exported.model.header(),
        usual_batch=recipe.usual_batch,
        largest_batch=recipe.largest_batch,
        asked_precision=exported.precision,
        precision=exported.precision,
        agreement=None,
        tensorrt=tensorrt,
        cuda=gpu.cuda,
        driver=gpu.driver,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        workspace_mib=built.workspace_mib,
        built=datetime.now(UTC).isoformat(timespec="seconds"),
        build_seconds=0.0,
    )
    built, manifest = _parity_checked(built, manifest, exported, recipe, parity_check, on_progress)
    manifest = replace(manifest, build_seconds=round(time.monotonic() - start, 2))
    write_private(timing, built.timing_cache)
    write_private(path, built.plan)
    write_private(_manifest_path(path), json.dumps(asdict(manifest), indent=2).encode())
    return Engine(path=path, manifest=manifest)


def _parity_checked(
    built: BuiltPlan,
    manifest: Manifest,
    exported: OnnxModel,
    recipe: EngineRecipe,
    parity_check: ParityCheck | None,
    on_progress: Progress | None,
) -> tuple[BuiltPlan, Manifest]:
    """The engine with its agreement; in FP32 where FP16 does not agree with it."""
    agreement = None if parity_check is None else parity_check(built.plan, manifest)
    manifest = replace(manifest, agreement=agreement)
    if agreement is None:
        _log.warning("the engine was not compared with FP32: nothing to compare it with")
        return built, manifest
    if agreement >= recipe.least_agreement:
        return built, manifest
    if exported.precision == "fp32":
        raise BackendError(
            f"the FP32 engine labels only {agreement:.2%} of pixels as PyTorch does; at least "
            f"{recipe.least_agreement:.2%} are needed; it was not kept: use --device cpu"
        )
    _log.warning(
        "in FP16 only %.2f%% of pixels are labelled as in FP32 (%.2f%% are needed): "
        "building it in FP32 instead, which is slower",
        agreement * 100,
        recipe.least_agreement * 100,
    )
    wide = parse_onnx(widen(exported.data), name=recipe.name)
    built = build_plan(wide, recipe, timing_cache=built.timing_cache, on_progress=on_progress)
    digest = hashlib.sha256(built.plan).hexdigest()
    manifest = replace(manifest, sha256=digest, precision="fp32", agreement=None)
    return _parity_checked(built, manifest, wide, recipe, parity_check, on_progress)


def list_engines() -> tuple[Engine, ...]:
    """Every engine that is kept, whatever it was built for; damaged manifests are left out."""
    found = []
    for path in sorted(engine_folder().glob("*.engine")):
        try:
            found.append(Engine(path=path, manifest=_read_manifest(_manifest_path(path))))
        except StaleEngineError as error:
            _log.warning("%s", error)
    return tuple(found)


def remove_engines(*, keep: tuple[Path, ...] = ()) -> tuple[Path, ...]:
    """Delete what rtseg built (engines, manifests, timing caches, locks); returns what went.

    Raises:
        BackendError: something cannot be deleted.
    """
    folder, gone = engine_folder(), []
    kept = {path.stem for path in keep}
    patterns = ("*.engine", "*.engine.json", "*.timing", "*.lock", "*.part")
    for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
        if any(path.name.startswith(stem + ".") for stem in kept):
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise BackendError(f"{path}: cannot be deleted: {error.strerror}") from None
        gone.append(path)
    return tuple(gone)


def _engine_path(recipe: EngineRecipe, exported: OnnxModel, key: str) -> Path:
    return engine_folder() / f"{recipe.name}-{exported.precision}-{key[:16]}.engine"


def _timing_name(gpu: Gpu, tensorrt: str) -> str:
    about = f"{gpu.name} {gpu.compute_capability} {tensorrt}".encode()
    return f"{hashlib.sha256(about).hexdigest()[:16]}.timing"


def _manifest_path(engine: Path) -> Path:
    return engine.with_name(engine.name + ".json")


def _find(path: Path, key: str) -> Engine | None:
    """The engine at a path, if it is whole and has that key."""
    if not path.is_file():
        return None
    private_folder(path.parent)
    try:
        engine = Engine(path=path, manifest=_read_manifest(_manifest_path(path)))
        engine.read()
    except StaleEngineError as error:
        _log.warning("%s", error)
        return None
    return engine if engine.manifest.key == key else None


def _read_manifest(path: Path) -> Manifest:
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ValueError("too large")
        values = json.loads(path.read_text(encoding="utf-8"))
        for field in fields(Manifest):
            if not isinstance(values[field.name], _JSON_TYPES[str(field.type)]):
                raise TypeError(f"{field.name} is {values[field.name]!r}")
        manifest = Manifest(**{field.name: values[field.name] for field in fields(Manifest)})
        _ = manifest.model
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ModelError) as error:
        raise StaleEngineError(f"{path}: no usable manifest of an engine: {error!r}") from None
    return manifest

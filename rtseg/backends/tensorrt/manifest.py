"""The manifest of a built engine, against which the engine file is checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rtseg.checkpoint import ModelSpec, spec_from_header
from rtseg.errors import BackendError, ModelError

MAX_MANIFEST_BYTES = 2**20

_JSON_TYPES: Mapping[str, Any] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "tuple[str, ...]": list,
    "Mapping[str, Any]": dict,
}
"""What a manifest's fields may be, by their annotations."""


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
        largest_batch: the largest batch that it runs; each size has a profile of its own.
        asked_precision, precision: what the recipe wanted, and what the engine computes in.
        agreement: share of labels equal to those of FP32 when it was built; None: not compared.
        flavour: `tensorrt` or `tensorrt-rtx`.
        tensorrt: that library's version.
        cuda, driver, gpu, compute_capability: of the machine that it was built on; "" where it
            was built without a GPU.
        architectures: what a TensorRT-RTX engine runs on, `sm89`; none for TensorRT's, which run
            on the GPU that they were built on.
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
    largest_batch: int
    asked_precision: str
    precision: str
    agreement: float | None
    flavour: str
    tensorrt: str
    cuda: str
    driver: str
    gpu: str
    compute_capability: str
    architectures: tuple[str, ...]
    workspace_mib: int
    built: str
    build_seconds: float

    @property
    def model(self) -> ModelSpec:
        """The model's description; no weights."""
        return spec_from_header(self.header, path=self.name)

    @property
    def library(self) -> str:
        """What built it, for people: `TensorRT 11.4.0.106`."""
        title = "TensorRT-RTX" if self.flavour == "tensorrt-rtx" else "TensorRT"
        return f"{title} {self.tensorrt}"

    @property
    def target(self) -> str:
        """What it runs on, for people: `NVIDIA … (8.9)`, or `sm86, sm89`."""
        if self.architectures:
            return ", ".join(self.architectures)
        return f"{self.gpu} ({self.compute_capability})"

    def to_json(self) -> bytes:
        """The file's content."""
        return json.dumps(asdict(self), indent=2).encode()


def read_manifest(path: Path) -> Manifest:
    """A manifest's file.

    Raises:
        StaleEngineError: it is missing, damaged, or not a manifest.
    """
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ValueError("too large")
        values = json.loads(path.read_text(encoding="utf-8"))
        if "flavour" not in values:
            raise ValueError("not written by this version of rtseg")
        for field in fields(Manifest):
            if not isinstance(values[field.name], _JSON_TYPES[str(field.type)]):
                raise TypeError(f"{field.name} is {values[field.name]!r}")
        manifest_fields = {field.name: values[field.name] for field in fields(Manifest)}
        manifest_fields["architectures"] = tuple(map(str, values["architectures"]))
        manifest = Manifest(**manifest_fields)
        _ = manifest.model
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ModelError) as error:
        raise StaleEngineError(f"{path}: no usable manifest of an engine: {error!r}") from None
    return manifest


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

    @property
    def layers_path(self) -> Path:
        """The builder's report of the engine's layers; the file may be missing."""
        return self.path.with_name(self.path.name + ".layers")


def manifest_path(engine: Path) -> Path:
    """Where an engine's manifest lies."""
    return engine.with_name(engine.name + ".json")

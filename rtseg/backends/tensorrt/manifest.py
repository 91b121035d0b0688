"""The manifest of a built engine: what it was built from and for, and the digest to check it."""

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
"""The allowed types of a manifest's fields, by their annotations."""


class StaleEngineError(BackendError):
    """A built engine is damaged or does not load on this machine; rebuilding it helps."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The description of a built engine, stored beside it as JSON.

    Attributes:
        name: the recipe's name.
        key: a digest of everything that the engine depends on (`engine_key`).
        sha256: the digest of the engine file.
        onnx_digest, weights_digest: SHA-256 of the files that it was built from.
        header: the model's header, as in its checkpoint.
        largest_batch: the largest batch size; each size has its own profile.
        asked_precision, precision: the recipe's precision, and the engine's actual one.
        agreement: share of labels equal to those of FP32 after the build; None if not compared.
        flavour: `tensorrt` or `tensorrt-rtx`.
        tensorrt: that library's version.
        cuda, driver, gpu, compute_capability: of the machine that it was built on; "" if it was
            built without a GPU.
        architectures: those that a TensorRT-RTX engine runs on (`sm89`); empty for TensorRT's
            engines, which run on the GPU that they were built on.
        workspace_mib: memory available to kernels.
        built: time of the build, ISO 8601, UTC.
        build_seconds: duration of the build.
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
        """The model's specification; no weights."""
        return spec_from_header(self.header, path=self.name)

    @property
    def library(self) -> str:
        """The library that built it, for people: `TensorRT 11.4.0.106`."""
        title = "TensorRT-RTX" if self.flavour == "tensorrt-rtx" else "TensorRT"
        return f"{title} {self.tensorrt}"

    @property
    def target(self) -> str:
        """What it runs on, for people: `NVIDIA … (8.9)`, or `sm86, sm89`."""
        if self.architectures:
            return ", ".join(self.architectures)
        return f"{self.gpu} ({self.compute_capability})"

    def to_json(self) -> bytes:
        """The manifest file's content."""
        return json.dumps(asdict(self), indent=2).encode()


def read_manifest(path: Path) -> Manifest:
    """Read a manifest file.

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
    """A built engine and its manifest; `read` reads and checks its bytes."""

    path: Path
    manifest: Manifest

    def read(self) -> bytes:
        """Read the engine's bytes and check their digest against the manifest.

        Raises:
            StaleEngineError: the file is missing, or is not the one that was built.
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
    """The path of an engine's manifest."""
    return engine.with_name(engine.name + ".json")

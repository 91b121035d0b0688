"""Read and write models: safetensors files with everything needed to run them in the header.

They are read with NumPy, without torch or pickle, so nothing in a file can run code. The header's
metadata has one JSON object under the key `rtseg`, with the fields of `ModelSpec`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from rtseg.errors import ModelError, SettingError, listed
from rtseg.labels import LabelSet
from rtseg.system.files import write_whole

FORMAT_VERSION = 1
METADATA_KEY = "rtseg"
MAX_HEADER_BYTES = 16 * 2**20
MAX_INPUT_SIDE = 4096

Fit = Literal["stretch", "letterbox"]
View = Literal["face", "frame", "finder"]

Tensors = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelSpec:
    """The specification of a network: its input, the meaning of its output, everything but weights.

    Attributes:
        architecture: a name in `rtseg.models`.
        options: the architecture's arguments, as JSON values.
        label_set: the meaning of the output ids.
        input_height, input_width: the input size that it was trained at, in pixels.
        fit: how to resize pictures of another shape: `stretch`, or `letterbox` (keep the aspect
            ratio and pad).
        mean, std: per RGB channel, for pictures scaled to 0..1; the input is (x - mean) / std.
        stride: input pixels per output pixel.
        view: `face` models process crops around faces, `frame` models the whole picture; `finder`
            models process the whole picture or a tile of it, and locate faces instead of
            labelling pixels (`rtseg.faces.centres`).
        calibration: of a finder's scores, the scale and the shift of their logits that turn them
            into probabilities, as measured (`python -m training calibrate`).
        provenance: training data, date and command, as JSON values.
        accuracy: measured accuracy, as JSON values.
        terms: the terms of use of the weights.

    Raises:
        ModelError: a value is out of range.
    """

    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)
    label_set: LabelSet
    input_height: int
    input_width: int
    fit: Fit = "stretch"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    stride: int = 4
    view: View = "face"
    calibration: tuple[float, float] = (1.0, 0.0)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    terms: str = ""

    def __post_init__(self) -> None:
        for name, side in (("height", self.input_height), ("width", self.input_width)):
            if not 16 <= side <= MAX_INPUT_SIDE:
                raise ModelError(
                    f"a model's input {name} must be within 16..{MAX_INPUT_SIDE}; found {side}"
                )
            if self.stride < 1 or side % self.stride:
                raise ModelError(
                    f"a model's stride must divide its input {name} {side}; found {self.stride}"
                )
        if self.fit not in get_args(Fit):
            raise ModelError(f"a model's fit {self.fit!r} is unknown; allowed: {_all(Fit)}")
        if self.view not in get_args(View):
            raise ModelError(f"a model's view {self.view!r} is unknown; allowed: {_all(View)}")
        for name, three in (("mean", self.mean), ("std", self.std)):
            if len(three) != 3 or not all(math.isfinite(value) for value in three):
                raise ModelError(f"a model's {name} must be three numbers; found {three}")
        if min(self.std) <= 0:
            raise ModelError(f"a model's std must be positive; found {self.std}")
        scale, shift = self.calibration
        if not (math.isfinite(shift) and 0 < scale < math.inf):
            raise ModelError(
                "a model's calibration must be a positive scale and a shift; found "
                f"{list(self.calibration)}"
            )
        for name in ("options", "provenance", "accuracy"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def output_shape(self, batch: int) -> tuple[int, int, int, int]:
        """The shape of the class probabilities of a batch: (batch, rows, columns, classes)."""
        rows, columns = self.input_height // self.stride, self.input_width // self.stride
        return batch, rows, columns, len(self.label_set)

    def header(self) -> dict[str, Any]:
        """The fields as JSON values, for a file's header."""
        return {
            "format": FORMAT_VERSION,
            "architecture": self.architecture,
            "options": dict(self.options),
            "label_set": self.label_set.to_header(),
            "input_height": self.input_height,
            "input_width": self.input_width,
            "fit": self.fit,
            "mean": list(self.mean),
            "std": list(self.std),
            "stride": self.stride,
            "view": self.view,
            "calibration": list(self.calibration),
            "provenance": dict(self.provenance),
            "accuracy": dict(self.accuracy),
            "terms": self.terms,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A trained model: its specification and weights.

    Attributes:
        spec: the network's specification.
        tensors: the weights by name.
        digest: SHA-256 of the file that it was read from, or "".
    """

    spec: ModelSpec
    tensors: Tensors = field(default_factory=dict, repr=False)
    digest: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))

    @property
    def parameter_count(self) -> int:
        """The number of weights."""
        return sum(int(tensor.size) for tensor in self.tensors.values())


def _all(choices: Any) -> str:
    return listed(get_args(choices))


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Read a model file, and check it against its own header.

    Raises:
        ModelError: it is missing, not a safetensors file, not written by rtseg, or inconsistent.
    """
    header, data = read_header_and_bytes(Path(path))
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path}: the weights are damaged: {_one_line(error)}") from None
    spec = spec_from_header(header, path=path)
    return Checkpoint(spec=spec, tensors=tensors, digest=hashlib.sha256(data).hexdigest())


def read_spec(path: Path | str) -> ModelSpec:
    """Read a model file's specification, without its weights.

    Raises:
        ModelError: as for `read_checkpoint`.
    """
    return spec_from_header(_metadata(Path(path)), path=path)


def read_digest(path: Path | str) -> str:
    """SHA-256 of a model file, as in `Checkpoint.digest`.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None


def read_header_and_bytes(path: Path) -> tuple[dict[str, Any], bytes]:
    """Read the parsed metadata and the whole file, after checking the header."""
    header = _metadata(path)
    try:
        return header, path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None


def _metadata(path: Path) -> dict[str, Any]:
    """The JSON object under `rtseg` in a safetensors file's header (8-byte length, then JSON)."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 10 or length > min(MAX_HEADER_BYTES, size - 8):
                raise ModelError(
                    f"{path}: not a model file of rtseg (safetensors expected); "
                    "`rtseg models` lists what can be run"
                )
            raw = file.read(length)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        outer = json.loads(raw)
        inner = json.loads(outer["__metadata__"][METADATA_KEY])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelError(
            f"{path}: not a model file of rtseg: its header does not describe a model; "
            "make one with `python -m training fit`"
        ) from None
    if not isinstance(inner, dict):
        raise ModelError(f"{path}: its header's description is not a JSON object")
    version = inner.get("format")
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{path}: its header has format {version!r}; this rtseg reads {FORMAT_VERSION}"
        )
    return inner


def spec_from_header(header: Mapping[str, Any], *, path: Path | str) -> ModelSpec:
    """Parse a header (`ModelSpec.header`); `path` is used in messages.

    Raises:
        ModelError: a field is missing or wrong.
    """
    try:
        return ModelSpec(
            architecture=str(header["architecture"]),
            options=dict(header["options"]),
            label_set=LabelSet.from_header(header["label_set"]),
            input_height=int(header["input_height"]),
            input_width=int(header["input_width"]),
            fit=header["fit"],
            mean=_three(header["mean"]),
            std=_three(header["std"]),
            stride=int(header["stride"]),
            view=header["view"],
            # older files lack this field
            calibration=_two(header.get("calibration", (1.0, 0.0))),
            provenance=dict(header["provenance"]),
            accuracy=dict(header["accuracy"]),
            terms=str(header["terms"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"{path}: its header is damaged: {error!r}") from None
    except (ModelError, SettingError) as error:
        raise ModelError(f"{path}: {_one_line(error)}") from None


def _two(values: Any) -> tuple[float, float]:
    first, second = values
    return float(first), float(second)


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = values
    return float(first), float(second), float(third)


def _one_line(error: Exception) -> str:
    """An error's message in one line, without control characters from a hostile file."""
    text = "".join(sign if sign.isprintable() else " " for sign in str(error))
    return " ".join(text.split()) or type(error).__name__


def write_checkpoint(checkpoint: Checkpoint, path: Path | str, *, half: bool = False) -> None:
    """Write a model file, completely or not at all.

    Args:
        checkpoint: the model; `digest` is not written.
        path: the file; an existing one is replaced.
        half: store floating-point weights as float16.

    Raises:
        ModelError: it cannot be written.
    """
    from safetensors.numpy import save

    target = Path(path)
    tensors = {
        # not ascontiguousarray, which turns scalars into vectors
        name: np.asarray(
            tensor.astype(np.float16) if half and tensor.dtype.kind == "f" else tensor, order="C"
        )
        for name, tensor in sorted(checkpoint.tensors.items())
    }
    metadata = {METADATA_KEY: json.dumps(checkpoint.spec.header(), sort_keys=True)}
    try:
        write_whole(target, save(tensors, metadata=metadata))
    except OSError as error:
        raise ModelError(f"{target}: cannot be written: {error.strerror}") from None

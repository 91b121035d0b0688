"""Fuzz everything that reads a model's files with random bytes, guided by coverage (atheris).

    python -m tests.fuzz.parsers checkpoint|manifest|onnx [-max_total_time=60] [-runs=100000]

`pip install atheris` first (Linux, CPython). Any exception other than ModelError ends the run with
the input that caused it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

MEMORY = Path("/dev/shm")
FOLDER = Path(tempfile.mkdtemp(prefix="rtseg-fuzz-", dir=MEMORY if MEMORY.is_dir() else None))


def one_line(error: Exception) -> None:
    text = str(error)
    text.encode()
    if "\n" in text or not text:
        raise AssertionError(f"not one line: {text!r}")


def checkpoint(data: bytes) -> None:
    """Read any file as a model."""
    from rtseg.checkpoint import read_checkpoint, read_spec
    from rtseg.errors import ModelError

    path = FOLDER / "fuzzed.safetensors"
    for content in (data, described(data)):
        path.write_bytes(content)
        for read in (read_checkpoint, read_spec):
            try:
                read(path)
            except ModelError as error:
                one_line(error)


def described(header: bytes) -> bytes:
    """Read a safetensors file with any description."""
    text = header.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
    raw = json.dumps({"__metadata__": {"rtseg": text}}).encode()
    return len(raw).to_bytes(8, "little") + raw


def manifest(data: bytes) -> None:
    """Read any file as an engine's manifest."""
    from rtseg.backends.tensorrt import list_engines

    os.environ["RTSEG_ENGINE_DIR"] = str(FOLDER)
    (FOLDER / "fuzzed.engine").touch()
    (FOLDER / "fuzzed.engine.json").write_bytes(data)
    for engine in list_engines():
        _ = engine.manifest.model


def onnx(data: bytes) -> None:
    """Read any file as an exported model."""
    from rtseg.errors import ModelError
    from rtseg.export.onnx_file import parse_onnx

    try:
        parse_onnx(data, name="fuzzed.onnx")
    except ModelError as error:
        one_line(error)


def seeds() -> dict[str, bytes]:
    """A valid input for each target, for the fuzzer to start with."""
    from rtseg.checkpoint import ModelSpec
    from rtseg.labels import HELEN

    header = ModelSpec(architecture="a", label_set=HELEN, input_height=64, input_width=64).header()
    words = "name key sha256 onnx_digest weights_digest asked_precision precision tensorrt cuda"
    about: dict[str, object] = dict.fromkeys(words.split(), "x")
    about |= dict.fromkeys(["driver", "gpu", "compute_capability", "built"], "x")
    about |= {"flavour": "tensorrt-rtx", "architectures": ["sm89"], "largest_batch": 8}
    about |= {"workspace_mib": 1, "build_seconds": 1.0}
    about |= {"agreement": None, "header": header}

    def message(number: int, content: bytes) -> bytes:
        size = len(content)
        return bytes([number << 3 | 2, size & 127 | 128, size >> 7]) + content

    texts = {"rtseg": json.dumps(header), "rtseg.weights": "x", "rtseg.precision": "fp16"}
    entries = [
        message(14, message(1, key.encode()) + message(2, text.encode()))
        for key, text in texts.items()
    ]
    tensor = message(5, message(8, b"weights") + message(9, bytes(16)))
    return {
        "checkpoint": json.dumps(header).encode(),
        "manifest": json.dumps(about).encode(),
        "onnx": b"".join([message(7, tensor), *entries]),
    }


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (checkpoint, manifest, onnx)
}


def main() -> None:
    import atheris

    logging.getLogger("rtseg").setLevel(logging.CRITICAL)
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        sys.exit(f"one of: {', '.join(TARGETS)}")
    with atheris.instrument_imports(include=["rtseg"]):
        import rtseg.backends.tensorrt
        import rtseg.checkpoint
        import rtseg.export.onnx_file  # noqa: F401
    corpus = FOLDER / "corpus"
    corpus.mkdir()
    (corpus / name).write_bytes(seeds()[name])
    atheris.Setup([*sys.argv, str(corpus), "-max_len=8192"], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Headers of models and manifests of engines with any content are read, or refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtseg.backends.tensorrt.store import Manifest, list_engines
from rtseg.checkpoint import read_checkpoint, read_spec
from rtseg.errors import ModelError
from rtseg.export.onnx_file import OnnxModel, parse_onnx
from tests.fuzz.parsers import described, seeds

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["\n", "\x1b[2J", "../../etc/passwd", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
BRIEF = settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def check(read: Callable[[], object]) -> None:
    try:
        read()
    except ModelError as error:
        text = str(error)
        assert "\n" not in text
        text.encode()
        assert text.isprintable()


def changed(values: dict[str, Any], changes: dict[str, Any], nested: str) -> dict[str, Any]:
    """Fields to replace; `nested.x` is inside the field `nested`, and `None: x` removes x."""
    result = {**values, nested: dict(values[nested])}
    for name, value in changes.items():
        place, _, key = name.rpartition(".")
        (result[place] if place and isinstance(result[place], dict) else result)[key] = value
    return result


CHECKPOINT = json.loads(seeds()["checkpoint"])
CHECKPOINT_FIELDS = [*CHECKPOINT, *(f"label_set.{name}" for name in CHECKPOINT["label_set"])]


@BRIEF
@given(st.dictionaries(st.sampled_from(CHECKPOINT_FIELDS), JSON, min_size=1, max_size=3))
def test_a_checkpoint_with_any_header_is_read_or_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = tmp_path / "model.safetensors"
    text = json.dumps(changed(CHECKPOINT, changes, "label_set"))
    path.write_bytes(described(text.encode()))
    check(lambda: read_spec(path))
    check(lambda: read_checkpoint(path))


@BRIEF
@given(
    st.dictionaries(
        st.text(max_size=5),
        JSON
        | st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "I64", "F16", "U8", "O"]) | JSON,
                "shape": st.lists(st.integers(-2, 2**65), max_size=4) | JSON,
                "data_offsets": st.lists(st.integers(-1, 2**65), max_size=3) | JSON,
            }
        ),
        max_size=3,
    ),
    st.binary(max_size=64),
)
def test_tensors_of_any_shape_are_read_or_refused(
    tmp_path: Path, tensors: dict[str, Any], data: bytes
) -> None:
    path = tmp_path / "model.safetensors"
    raw = json.dumps({"__metadata__": {"rtseg": json.dumps(CHECKPOINT)}, **tensors}).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + data)
    check(lambda: read_checkpoint(path))


MANIFEST = json.loads(seeds()["manifest"])
MANIFEST_FIELDS = [*MANIFEST, *(f"header.{name}" for name in MANIFEST["header"])]


@BRIEF
@given(
    st.dictionaries(st.sampled_from(MANIFEST_FIELDS), JSON, max_size=3),
    st.sampled_from([None, *MANIFEST]),
    st.none() | st.integers(0, 2000),
)
def test_a_manifest_with_any_content_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    changes: dict[str, Any],
    missing: str | None,
    cut: int | None,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzzed-engines"
    folder.mkdir(exist_ok=True)
    (folder / "a.engine").touch()
    values = changed(MANIFEST, changes, "header")
    values.pop(missing, None)
    (folder / "a.engine.json").write_text(json.dumps(values)[:cut])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTSEG_ENGINE_DIR", str(folder))
        engines = list_engines()
    for engine in engines:
        assert engine.manifest.model.label_set
        for field in fields(Manifest):  # messages format these fields
            value = getattr(engine.manifest, field.name)
            if field.type in ("str", "int"):
                assert isinstance(value, str if field.type == "str" else int)
            elif field.name in ("build_seconds", "agreement"):
                assert value is None or f"{value:.1f}"


@BRIEF
@given(
    st.lists(
        st.tuples(st.integers(0, 10**4), st.integers(0, 3), st.binary(max_size=6)), max_size=8
    ),
    st.none() | st.integers(0, 10**4),
)
def test_an_onnx_file_of_any_bytes_is_read_or_refused(
    edits: list[tuple[int, int, bytes]], cut: int | None
) -> None:
    data = seeds()["onnx"]
    for place, removed, added in edits:
        place %= len(data) + 1
        data = data[:place] + added + data[place + removed :]
    check(lambda: parse_onnx(data[:cut], name="fuzzed.onnx"))


@BRIEF
@given(st.data())
def test_onnx_weights_in_other_files_are_refused_wherever_they_are(data: st.DataObject) -> None:
    """Absurd shapes are harmless, since nothing is allocated for them."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load_model_from_string(seeds()["onnx"])
    graph, depth = model.graph, data.draw(st.integers(0, 4))
    for _ in range(depth):
        inner = onnx.GraphProto(name="inner")
        node = graph.node.add(op_type="If")
        node.attribute.append(onnx.helper.make_attribute("then_branch", inner))
        graph = node.attribute[0].g
    tensor = onnx.TensorProto(
        name="w", data_type=1, dims=data.draw(st.lists(st.integers(-1, 2**62), max_size=4))
    )
    is_external = data.draw(st.booleans())
    if is_external:
        location = data.draw(st.sampled_from(["../../secret", "/etc/passwd", "w.bin", ""]))
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
    where = data.draw(st.sampled_from(["initializer", "constant", "sparse"]))
    if where == "initializer":
        graph.initializer.append(tensor)
    elif where == "constant":
        graph.node.append(onnx.helper.make_node("Constant", [], ["w"], value=tensor))
    else:
        graph.sparse_initializer.append(onnx.SparseTensorProto(values=tensor, dims=[2**62]))
    raw = model.SerializeToString()
    if is_external:
        with pytest.raises(ModelError, match="in other files"):
            parse_onnx(raw, name="x.onnx")
    else:
        assert isinstance(parse_onnx(raw, name="x.onnx"), OnnxModel)

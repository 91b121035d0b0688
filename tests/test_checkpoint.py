"""Model files: written, read, and refused when damaged or hostile."""

import json
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from rtseg.checkpoint import (
    METADATA_KEY,
    Checkpoint,
    ModelSpec,
    read_checkpoint,
    read_spec,
    spec_from_header,
    write_checkpoint,
)
from rtseg.errors import ModelError
from rtseg.labels import HELEN


def checkpoint(**changes):
    fields = {
        "architecture": "residual-pyramid",
        "options": {"stem": 8, "widths": [1, 2]},
        "label_set": HELEN,
        "input_height": 64,
        "input_width": 96,
        "fit": "letterbox",
        "provenance": {"data": "Helen*", "command": "python -m training fit face-parts"},
        "accuracy": {"parts": 0.84},
        "calibration": (1.5, -0.25),
        "terms": "research use",
        "tensors": {
            "stem.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 3,
            "stem.steps": np.array(7, np.int64),
        },
    }
    given = fields | changes
    tensors = given.pop("tensors")
    return Checkpoint(spec=ModelSpec(**given), tensors=tensors)


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "model.safetensors"
    write_checkpoint(checkpoint(), path)
    return path


def assert_refused(path):
    """Both ways of reading say no in one line that names the file."""
    for read in (read_checkpoint, read_spec):
        with pytest.raises(ModelError) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert path.name in str(caught.value)
        assert len(str(caught.value)) < 600


def test_what_is_written_is_read(written):
    before, after = checkpoint(), read_checkpoint(written)
    assert after.spec.header() == before.spec.header()
    assert after.parameter_count == 7
    assert set(after.tensors) == set(before.tensors)
    for name, tensor in before.tensors.items():
        assert after.tensors[name].dtype == tensor.dtype
        assert after.tensors[name].shape == tensor.shape
        np.testing.assert_array_equal(after.tensors[name], tensor)
    assert len(after.digest) == 64


def test_older_files_lack_a_calibration():
    header = checkpoint().spec.header()
    del header["calibration"]
    assert spec_from_header(header, path="x").calibration == (1, 0)


def test_a_field_that_version_0_1_wrote_is_ignored():
    header = checkpoint().spec.header()
    written = {**header, "label_offset": 0.5}
    assert spec_from_header(written, path="x").header() == header


def test_the_header_can_be_read_alone(written):
    header = read_spec(written)
    assert header.header() == checkpoint().spec.header()


def test_half_precision_halves_the_weights_only(tmp_path):
    path = tmp_path / "half.safetensors"
    write_checkpoint(checkpoint(), path, half=True)
    tensors = read_checkpoint(path).tensors
    assert tensors["stem.weight"].dtype == np.float16
    assert tensors["stem.steps"].dtype == np.int64
    assert tensors["stem.steps"].shape == ()


def test_writing_replaces_whole_files_and_leaves_nothing_else(written):
    write_checkpoint(checkpoint(terms="others"), written)
    assert read_spec(written).terms == "others"
    assert [path.name for path in written.parent.iterdir()] == [written.name]


def test_the_digest_depends_on_the_weights(written, tmp_path):
    other = tmp_path / "other.safetensors"
    write_checkpoint(checkpoint(tensors={"stem.weight": np.zeros(3, np.float32)}), other)
    assert read_checkpoint(written).digest != read_checkpoint(other).digest


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="cannot be written"):
        write_checkpoint(checkpoint(), tmp_path / "missing" / "model.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_height": 8}, "input height must be within 16..4096; found 8"),
        ({"input_width": 5000}, "input width"),
        ({"stride": 0}, "stride must divide"),
        ({"stride": 5}, "stride must divide"),
        ({"fit": "crop"}, "fit 'crop' is unknown; allowed: stretch, letterbox"),
        ({"view": "body"}, "view 'body' is unknown"),
        ({"std": (1.0, 0.0, 1.0)}, "std must be positive"),
        ({"mean": (0.0, float("nan"), 0.0)}, "mean must be three numbers"),
        ({"calibration": (0.0, 1.0)}, "calibration must be a positive scale and a shift; found"),
        ({"calibration": (1.0, float("nan"))}, "calibration must be a positive scale"),
    ],
)
def test_impossible_models_are_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        checkpoint(**changes)


class TestHostileFiles:
    def test_missing(self, tmp_path):
        assert_refused(tmp_path / "nothing.safetensors")

    def test_a_folder(self, tmp_path):
        folder = tmp_path / "folder.safetensors"
        folder.mkdir()
        assert_refused(folder)

    def test_empty(self, tmp_path):
        path = tmp_path / "empty.safetensors"
        path.touch()
        assert_refused(path)

    def test_a_renamed_pickle_is_not_run(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return (open, (str(tmp_path / "owned"), "w"))

        path = tmp_path / "pickle.safetensors"
        path.write_bytes(pickle.dumps(Evil()))
        assert_refused(path)
        assert not (tmp_path / "owned").exists()

    @pytest.mark.parametrize("length", [0, 1, 2**24 + 1, 2**40, 2**64 - 1])
    def test_a_lying_header_length(self, written, length):
        written.write_bytes(struct.pack("<Q", length) + written.read_bytes()[8:])
        assert_refused(written)

    def test_other_peoples_safetensors(self, tmp_path):
        path = tmp_path / "other.safetensors"
        path.write_bytes(save({"a": np.zeros(3, np.float32)}, metadata={"format": "pt"}))
        assert_refused(path)

    @pytest.mark.parametrize("inner", ["[]", "null", "3", '"x"', "{", "[" * 5000, "{}"])
    def test_another_description(self, tmp_path, inner):
        path = tmp_path / "odd.safetensors"
        path.write_bytes(save({"a": np.zeros(3, np.float32)}, metadata={METADATA_KEY: inner}))
        assert_refused(path)

    def test_a_later_format(self, tmp_path):
        assert_refused(described(tmp_path, {"format": 2}))

    @pytest.mark.parametrize(
        "field", sorted(set(checkpoint().spec.header()) - {"format", "calibration"})
    )
    def test_a_missing_field(self, tmp_path, field):
        header = checkpoint().spec.header()
        del header[field]
        assert_refused(described(tmp_path, header))

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("input_height", 10**18),
            ("input_height", "tall"),
            ("input_width", None),
            ("input_width", float("inf")),
            ("mean", [1, 2]),
            ("calibration", [1]),
            ("mean", "abc"),
            ("std", [1e400, 1, 1]),
            ("label_set", []),
            ("label_set", HELEN.to_header() | {"names": ["A b"] * 11}),
            ("fit", ["stretch"]),
            ("fit", {"a": 1}),
            ("view", 7),
            ("options", 3),
            ("stride", 10**30),
        ],
    )
    def test_a_field_of_another_kind(self, tmp_path, field, value):
        assert_refused(described(tmp_path, checkpoint().spec.header() | {field: value}))

    @pytest.mark.parametrize(
        "tensor",
        [
            {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 12]},
            {"dtype": "F32", "shape": [-3], "data_offsets": [0, 12]},
            {"dtype": "F32", "shape": [3], "data_offsets": [0, 2**50]},
            {"dtype": "F32", "shape": [3], "data_offsets": [8, 4]},
            {"dtype": "O64", "shape": [3], "data_offsets": [0, 12]},
            {"shape": [3]},
            [],
        ],
    )
    def test_absurd_tensors(self, tmp_path, tensor):
        header = {
            "__metadata__": {METADATA_KEY: json.dumps(checkpoint().spec.header())},
            "a": tensor,
        }
        raw = json.dumps(header).encode()
        path = tmp_path / "absurd.safetensors"
        path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(12))
        with pytest.raises(ModelError) as caught:
            read_checkpoint(path)
        assert "\n" not in str(caught.value)

    def test_cut_short(self, written):
        whole = written.read_bytes()
        for size in (4, 8, 100, len(whole) - 1):
            written.write_bytes(whole[:size])
            with pytest.raises(ModelError):
                read_checkpoint(written)


def described(folder, header):
    path = folder / "described.safetensors"
    path.write_bytes(
        save({"a": np.zeros(3, np.float32)}, metadata={METADATA_KEY: json.dumps(header)})
    )
    return path


@settings(max_examples=150, derandomize=True, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_read_or_refused_never_worse(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzzed.safetensors"
    write_checkpoint(checkpoint(), path)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw))
    for read in (read_checkpoint, read_spec):
        try:
            read(path)
        except ModelError as error:
            assert "\n" not in str(error)  # noqa: PT017


@settings(max_examples=100, derandomize=True, deadline=None)
@given(raw=st.binary(max_size=300))
def test_random_bytes_are_refused(raw, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "random.safetensors"
    path.write_bytes(raw)
    with pytest.raises(ModelError):
        read_checkpoint(path)

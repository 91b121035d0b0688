"""The contract of every backend that this machine can run, on one small model."""

import threading

import numpy as np
import pytest

from rtseg.backends.base import Backend
from rtseg.backends.parity import label_agreement
from rtseg.backends.registry import RUNTIMES
from rtseg.errors import BackendError, SettingError
from tests.backends.gpu import require_gpu
from tests.support.exported import (
    FINE,
    HEIGHT,
    WIDTH,
    tiny_checkpoint,
    tiny_crops,
    tiny_int8,
    tiny_onnx,
)


def open_torch_cpu(precision, fine=0, _tmp_path=None):
    from rtseg.backends.torch.backend import TorchBackend

    return TorchBackend(tiny_checkpoint(fine), device="cpu", precision=precision, threads=1)


def open_eager(_precision, fine, _tmp_path):
    from rtseg.bench.eager import EagerBackend

    return EagerBackend(tiny_checkpoint(fine), threads=1)


def open_torch_cuda(precision, fine, _tmp_path):
    require_gpu()
    from rtseg.backends.torch.backend import TorchBackend

    return TorchBackend(tiny_checkpoint(fine), device="cuda", precision=precision, threads=1)


def tiny_file(precision, fine):
    return tiny_int8(fine) if precision == "int8" else tiny_onnx(fine=fine)


def open_onnxruntime(precision, fine, _tmp_path):
    pytest.importorskip("onnxruntime")
    from rtseg.backends.onnxruntime import OnnxRuntimeBackend

    return OnnxRuntimeBackend(tiny_file(precision, fine), precision=precision, threads=1)


def open_openvino(precision, fine, tmp_path):
    pytest.importorskip("openvino")
    from rtseg.backends.openvino import OpenVinoBackend

    try:
        return OpenVinoBackend(
            tiny_file(precision, fine), precision=precision, threads=1, cache=tmp_path / "openvino"
        )
    except SettingError as error:
        pytest.skip(str(error))


def open_fake_tensorrt(_precision, fine, tmp_path):
    from rtseg.backends.tensorrt import EngineRecipe, prepare_engine, this_machine
    from rtseg.backends.tensorrt.backend import TensorRtBackend
    from tests.support.fakes.machine import install

    exported = tiny_onnx(fine=fine)
    patch = pytest.MonkeyPatch()
    patch.setenv("RTSEG_ENGINE_DIR", str(tmp_path / "engines"))
    install(patch)
    try:
        engine = prepare_engine(exported, EngineRecipe(name="tiny"), this_machine())
        backend = TensorRtBackend(engine.read(), engine.manifest)
        backend.warm_up()
        return backend
    finally:
        # a warm backend has all its modules; other tests must not see the fakes
        patch.undo()


def open_tensorrt(precision, fine, tmp_path):
    require_gpu()
    from tests.backends.test_gpu import require_tensorrt

    require_tensorrt()
    from rtseg.backends.tensorrt.loading import open_tensorrt as open_
    from rtseg.backends.tensorrt.loading import recipe_for

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTSEG_ENGINE_DIR", str(tmp_path / "engines"))
        return open_(tiny_onnx(fine=fine), recipe_for("tiny", precision=precision))


def on_a_gpu(*values):
    return pytest.param(values, marks=pytest.mark.gpu)


# name, how to open it, precision, fine head's channels, least agreement with PyTorch in FP32
CASES = [
    ("torch-fp32", open_torch_cpu, "fp32", 0, 0.999),
    ("torch-bf16", open_torch_cpu, "bf16", 0, 0.95),
    ("torch-bf16-fine", open_torch_cpu, "bf16", FINE, 0.95),
    ("eager", open_eager, "fp32", 0, 0.999),
    ("openvino-fp32", open_openvino, "fp32", 0, 0.995),
    ("openvino-bf16", open_openvino, "bf16", 0, 0.95),
    ("openvino-fp32-fine", open_openvino, "fp32", FINE, 0.995),
    ("openvino-int8", open_openvino, "int8", 0, 0.9),
    ("openvino-int8-fine", open_openvino, "int8", FINE, 0.9),
    ("onnxruntime-fp32", open_onnxruntime, "fp32", 0, 0.995),
    ("onnxruntime-int8", open_onnxruntime, "int8", 0, 0.9),
    ("onnxruntime-fp32-fine", open_onnxruntime, "fp32", FINE, 0.995),
    ("tensorrt-fake", open_fake_tensorrt, "fp16", 0, None),
    ("tensorrt-fake-fine", open_fake_tensorrt, "fp16", FINE, None),
    on_a_gpu("torch-cuda-fp32", open_torch_cuda, "fp32", 0, 0.999),
    on_a_gpu("torch-cuda-fp16", open_torch_cuda, "fp16", 0, 0.99),
    on_a_gpu("torch-cuda-fp16-fine", open_torch_cuda, "fp16", FINE, 0.99),
    on_a_gpu("tensorrt-fp16", open_tensorrt, "fp16", 0, 0.99),
    on_a_gpu("tensorrt-fp16-fine", open_tensorrt, "fp16", FINE, 0.99),
]


def case_name(case):
    return case[0]


@pytest.fixture(scope="module", params=CASES, ids=case_name)
def case(request, tmp_path_factory):
    _name, opener, precision, fine, least_agreement = request.param

    def make():
        return opener(precision, fine, tmp_path_factory.mktemp("backend"))

    with make() as backend:
        yield make, backend, fine, least_agreement


@pytest.fixture
def backend(case):
    return case[1]


def test_attributes_describe_the_backend(case):
    _make, backend, fine, _least = case
    assert isinstance(backend, Backend)
    assert backend.name in ("eager", *(runtime.name for runtime in RUNTIMES))
    assert backend.device
    assert backend.precision in ("fp32", "bf16", "fp16", "int8")
    assert backend.name in backend.reason
    assert "\n" not in backend.reason
    assert 1 <= backend.max_batch <= 8
    assert backend.model.header() == tiny_checkpoint(fine).spec.header()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 8, 11])
def test_shapes_types_and_sums_are_right(backend, count):
    probabilities = backend.infer(tiny_crops(count))
    stride = backend.model.stride
    assert probabilities.shape == (count, HEIGHT // stride, WIDTH // stride, 11)
    assert probabilities.dtype == np.float32
    assert probabilities.flags.writeable
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-3)


def test_it_agrees_with_pytorch_in_fp32(case):
    _make, backend, fine, least = case
    if least is None:
        pytest.skip("a fake computes something else")
    crops = tiny_crops(4, seed=7)
    with open_torch_cpu("fp32", fine) as reference:
        assert label_agreement(backend.infer(crops), reference.infer(crops)) >= least


def test_a_crop_does_not_depend_on_its_batch(backend):
    crops = tiny_crops(4, seed=3)
    together = backend.infer(crops)
    others = crops.copy()
    others[1:] = 255
    np.testing.assert_array_equal(backend.infer(others)[0], together[0])
    alone = backend.infer(crops[:1])[0]
    np.testing.assert_allclose(alone, together[0], atol=0.02)
    assert label_agreement(alone, together[0]) >= 0.99


def test_the_same_crops_give_the_same_result_which_is_the_callers(backend):
    crops = tiny_crops(2, seed=4)
    first = backend.infer(crops)
    kept = first.copy()
    backend.infer(tiny_crops(2, seed=5))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(backend.infer(crops), kept)


def test_crops_are_not_modified(backend):
    crops = tiny_crops(2)
    before = crops.copy()
    crops.flags.writeable = False
    backend.infer(crops)
    np.testing.assert_array_equal(crops, before)
    turned = np.ascontiguousarray(before.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
    assert not turned.flags.c_contiguous
    np.testing.assert_array_equal(backend.infer(turned), backend.infer(before))


def test_wrong_crops_are_refused(backend):
    for wrong in (tiny_crops(1)[0], tiny_crops(1)[:, 1:], tiny_crops(1).astype(np.float32)):
        with pytest.raises(SettingError, match=r"crops must be uint8 \(batch, 64, 96, 3\)"):
            backend.infer(wrong)


def test_threads_may_share_a_backend(backend):
    inputs = [tiny_crops(2, seed=seed) for seed in range(4)]
    expected = [backend.infer(crops) for crops in inputs]
    results = {}

    def work(index):
        for _ in range(3):
            results[index] = backend.infer(inputs[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for index in range(4):
        np.testing.assert_array_equal(results[index], expected[index])


def test_a_closed_backend_refuses_calls(case):
    make, _backend, _fine, _least = case
    backend = make()
    backend.warm_up()
    kept = backend.infer(tiny_crops(1))
    before = kept.copy()
    closer = threading.Thread(target=backend.close)
    closer.start()
    closer.join(30)
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(tiny_crops(1))
    np.testing.assert_array_equal(kept, before)

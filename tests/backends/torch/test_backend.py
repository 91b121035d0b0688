"""The PyTorch backend: its results, its limits, and a full memory."""

import logging
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from rtseg.backends import open_backend
from rtseg.backends.torch.backend import TorchBackend, fold_batch_norms
from rtseg.checkpoint import Checkpoint, ModelSpec, write_checkpoint
from rtseg.errors import BackendError, DeviceMemoryError, ModelError, SettingError
from rtseg.labels import HELEN
from rtseg.models import create_model
from tests.backends.torch.tiny import crops


def test_shapes_and_sums_are_right(backend):
    for count in (0, 1, 3, 9):
        probabilities = backend.infer(crops(count))
        assert probabilities.shape == (count, 16, 24, 11)
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)


def test_it_computes_the_networks_probabilities(backend, checkpoint):
    """Compare with the network as written: float64, unfolded batch norms, normalised by hand."""
    pictures = crops(2)
    network = create_model(checkpoint).double()
    normalised = (pictures / 255 - np.array(checkpoint.spec.mean)) / np.array(checkpoint.spec.std)
    with torch.inference_mode():
        logits = network(torch.from_numpy(normalised).permute(0, 3, 1, 2))
    expected = logits.softmax(1).permute(0, 2, 3, 1).numpy()
    assert expected.max() > 0.5  # the network is not indifferent
    off = np.abs(backend.infer(pictures) - expected)
    if backend.precision == "fp32":
        assert off.max() < 1e-4
    else:
        assert off.mean() < 0.02


def test_a_crop_does_not_depend_on_its_batch(backend):
    pictures = crops(9, seed=3)
    together = backend.infer(pictures)
    alone = np.concatenate([backend.infer(picture[None]) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_array_equal(together, backend.infer(pictures))


def test_the_input_is_not_modified_and_may_be_any_view(backend):
    pictures = crops(2)
    before = pictures.copy()
    mirrored = backend.infer(pictures[:, :, ::-1])
    np.testing.assert_array_equal(pictures, before)
    np.testing.assert_array_equal(
        mirrored, backend.infer(np.ascontiguousarray(pictures[:, :, ::-1]))
    )
    before.flags.writeable = False
    backend.infer(before)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((64, 96, 3), np.uint8),
        np.zeros((1, 96, 64, 3), np.uint8),
        np.zeros((1, 64, 96, 3), np.float32),
        np.zeros((1, 3, 64, 96), np.uint8),
    ],
)
def test_arrays_of_other_shapes_or_types_are_refused(backend, bad):
    with pytest.raises(SettingError, match=r"crops must be uint8 \(batch, 64, 96, 3\); found"):
        backend.infer(bad)


def test_several_threads_can_call_it_at_once(backend):
    pictures = [crops(1, seed) for seed in range(4)]
    expected = [backend.infer(picture) for picture in pictures]
    results = []

    def work(index):
        results.extend((index, backend.infer(pictures[index])) for _ in range(5))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20
    for index, result in results:
        np.testing.assert_allclose(result, expected[index], atol=1e-5)


def test_attributes_describe_the_backend(backend):
    assert backend.name == "torch"
    assert backend.device == "cpu"
    assert backend.precision in backend.reason
    assert backend.model.input_width == 96
    backend.warm_up()


def test_a_closed_backend_refuses_calls(checkpoint):
    backend = TorchBackend(checkpoint, device="cpu", precision="fp32", threads=1)
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="is closed"):
        backend.infer(crops(1))


def test_auto_precision_measures_and_reports_why(checkpoint):
    backend = TorchBackend(checkpoint, device="cpu", threads=1)
    assert backend.precision in ("fp32", "bf16")
    assert "bf16" in backend.reason


def test_without_bf16_instructions_it_uses_fp32(checkpoint, monkeypatch):
    monkeypatch.setattr("rtseg.backends.torch.backend.has_bf16_instructions", lambda: False)
    assert TorchBackend(checkpoint, device="cpu", threads=1).precision == "fp32"


def test_a_missing_gpu_is_reported_in_one_line(checkpoint, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match="no NVIDIA GPU") as caught:
        TorchBackend(checkpoint, device="cuda")
    assert "\n" not in str(caught.value)


def test_unsupported_options_on_a_processor_are_refused(checkpoint):
    with pytest.raises(SettingError, match="'fp16' does not run on cpu; allowed: auto, fp32, bf16"):
        TorchBackend(checkpoint, device="cpu", precision="fp16")
    with pytest.raises(SettingError, match="`device`"):
        TorchBackend(checkpoint, device="npu")


def test_a_failing_device_is_a_backend_error(checkpoint, monkeypatch):
    backend = TorchBackend(checkpoint, device="cpu", precision="fp32", threads=1)

    def fail(*_):
        raise RuntimeError("device lost\nbacktrace …")

    monkeypatch.setattr(backend, "_run", fail)
    with pytest.raises(BackendError, match="device lost") as caught:
        backend.infer(crops(1))
    assert "\n" not in str(caught.value)


def test_the_number_of_threads_is_respected(checkpoint):
    import cv2

    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        TorchBackend(checkpoint, device="cpu", precision="fp32", threads=1)
        assert torch.get_num_threads() == 1
        assert cv2.getNumThreads() == 1
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def test_folding_changes_only_the_layers(checkpoint):
    network = create_model(checkpoint)
    picture = torch.rand(1, 3, 64, 96)
    before = network(picture)
    folded = fold_batch_norms(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    torch.testing.assert_close(folded(picture), before, atol=1e-3, rtol=1e-3)


def test_open_backend_reads_files_and_logs_why_once(checkpoint, tmp_path, caplog):
    path = tmp_path / "model.safetensors"
    write_checkpoint(checkpoint, path)
    with caplog.at_level(logging.INFO, logger="rtseg"):
        with open_backend("auto", model=path, device="cpu", precision="fp32", threads=1) as auto:
            auto.infer(crops(1))
        assert len(caplog.records) == 1
        assert "torch on cpu, fp32" in caplog.text
        caplog.clear()
        open_backend("torch", model=str(path), device="cpu", precision="fp32", threads=1).close()
        assert not caplog.records


def test_open_backend_refuses_unknown_values(checkpoint, tmp_path):
    with pytest.raises(SettingError, match="unknown backend 'tflite'; allowed: auto, torch"):
        open_backend("tflite", model=checkpoint)
    with pytest.raises(ModelError, match="cannot be read"):
        open_backend(model=tmp_path / "missing.safetensors")
    wrong = Checkpoint(
        spec=ModelSpec(
            architecture="residual-pyramid",
            label_set=HELEN,
            input_height=64,
            input_width=64,
        ),
    )
    with pytest.raises(ModelError, match="do not fit"):
        open_backend(model=wrong)


def full_memory(*_, **__):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


class Cramped:
    """Computes like a backend's `_run`, with memory for a limited number of crops."""

    def __init__(self, backend, fits):
        self.run, self.fits, self.sizes = backend._run, fits, []

    def __call__(self, network, pictures):
        self.sizes.append(len(pictures))
        if len(pictures) > self.fits:
            full_memory()
        return self.run(network, pictures)


@pytest.fixture
def fresh(checkpoint):
    with TorchBackend(checkpoint, device="cpu", precision="fp32", threads=1) as backend:
        yield backend


def test_full_memory_leads_to_smaller_batches_without_loss(fresh, monkeypatch, caplog):
    pictures = crops(11)
    expected = fresh.infer(pictures)
    cramped = Cramped(fresh, fits=2)
    monkeypatch.setattr(fresh, "_run", cramped)
    np.testing.assert_allclose(fresh.infer(pictures), expected, atol=1e-5)
    assert cramped.sizes == [8, 4, 2, 2, 2, 2, 2, 1]
    assert fresh.max_batch == 2
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[-1].endswith("too full for a batch of 4: continuing with batches of 2")
    cramped.sizes.clear()
    fresh.infer(pictures[:3])
    assert cramped.sizes == [2, 1], "it does not try again what did not fit"


@pytest.mark.parametrize("count", [1, 8])
def test_memory_too_full_for_one_crop_is_a_typed_error(fresh, monkeypatch, count):
    monkeypatch.setattr(fresh, "_run", full_memory)
    with pytest.raises(DeviceMemoryError, match="memory is full; close other programs") as caught:
        fresh.infer(crops(count))
    assert caught.value.exit_code == 7
    monkeypatch.undo()
    assert fresh.infer(crops(1)).shape == (1, 16, 24, 11), "memory may come back"


def test_memory_errors_of_lower_libraries_are_recognised(fresh, monkeypatch):
    for message in ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "CUDA error: out of memory"):

        def fail(*_, message=message):
            raise RuntimeError(message)

        monkeypatch.setattr(fresh, "_run", fail)
        with pytest.raises(DeviceMemoryError):
            fresh.infer(crops(1))


def test_full_memory_while_loading_the_model_is_reported(checkpoint, monkeypatch):
    monkeypatch.setattr(nn.Module, "to", full_memory)
    with pytest.raises(DeviceMemoryError):
        TorchBackend(checkpoint, device="cpu", precision="fp32", threads=1)


def test_a_gpu_can_be_chosen_by_number(monkeypatch):
    from rtseg.backends.torch.backend import _find_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert _find_device("cuda") == torch.device("cuda", 0)
    assert _find_device("cuda:1") == torch.device("cuda", 1)
    assert _find_device("cpu") == torch.device("cpu")
    with pytest.raises(SettingError, match="cuda:2: does not exist; found: cuda:0, cuda:1"):
        _find_device("cuda:2")
    for wrong in ("cuda:", "cuda:x", "gpu", "cuda:-1", "cpu:0", "cuda:²"):
        with pytest.raises(SettingError, match=r"`device`: .* allowed: auto, cpu, cuda, cuda:N"):
            _find_device(wrong)


def test_fp32_on_a_gpu_avoids_tf32_and_random_kernels():
    from rtseg.backends.torch.backend import reproducible_arithmetic

    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")
    try:
        with reproducible_arithmetic():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
            assert not torch.backends.cudnn.benchmark
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before[0])
    assert torch.backends.cudnn.allow_tf32 == before[1]


def test_the_first_runs_of_batch_sizes_on_a_gpu_are_announced_once(fresh, monkeypatch, caplog):
    sizes = []
    monkeypatch.setattr("rtseg.backends.torch.backend.GraphedBatch", lambda *_, **__: object())
    monkeypatch.setattr(fresh, "_stream", None, raising=False)
    monkeypatch.setattr(fresh, "_device", SimpleNamespace(type="cuda"))
    monkeypatch.setattr(fresh, "device", "cuda:0 (NVIDIA Fake)")
    monkeypatch.setattr(fresh, "infer", lambda crops: sizes.append(len(crops)))
    caplog.set_level("INFO", "rtseg")
    assert fresh._graphed_batch(None, 2) is fresh._graphed_batch(None, 2)
    said = "preparing the network on cuda:0 (NVIDIA Fake) for batches of"
    assert caplog.messages == [f"{said} 2: some seconds"]
    caplog.clear()
    fresh.warm_up()
    fresh.warm_up()
    assert caplog.messages == [f"{said} 1, 4, 8: some seconds"]
    assert sizes == [1, 2, 4, 8] * 2


def test_the_stream_waits_for_the_weights(monkeypatch, checkpoint):
    """The default stream copies the weights to the device, unseen by our own stream."""
    events, real = [], torch.tensor
    monkeypatch.setattr(torch, "tensor", lambda data, device: real(data))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: "the default stream")
    backend = TorchBackend.__new__(TorchBackend)
    backend._device = SimpleNamespace(type="cuda")
    backend.model, backend.device, backend.threads = checkpoint.spec, "cuda:0", 1
    backend._prepared = lambda network, precision: events.append(f"weights in {precision}")
    backend._stream = SimpleNamespace(wait_stream=lambda other: events.append(f"wait for {other}"))
    backend._choose(None, "auto")
    assert events == ["weights in fp16", "wait for the default stream"]

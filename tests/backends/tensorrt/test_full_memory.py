"""A full GPU leads to smaller batches, or to one clear error."""

import logging

import numpy as np
import pytest

from rtseg.errors import BackendError, DeviceMemoryError
from tests.backends.tensorrt.opened import expected, opened, stacks
from tests.support.exported import tiny_crops
from tests.support.fakes.machine import install

pytestmark = pytest.mark.usefixtures("models", "agreeing_builds")


def test_full_memory_has_an_error_of_its_own(monkeypatch):
    machine = install(monkeypatch, fits_bytes=1000)
    with pytest.raises(BackendError, match="memory is full"):
        opened()
    assert stacks(machine) == ([], [])
    assert not any(machine.memory.alive().values())
    machine = install(monkeypatch)
    machine.behaviour.no_context = True
    with opened() as backend, pytest.raises(DeviceMemoryError, match="too full for a batch of 1"):
        backend.infer(tiny_crops(1))


def leave_room_for(machine, crops):
    """From now on the GPU has working memory for this many crops only."""
    held = sum(map(len, machine.memory.blocks.values()))
    machine.memory.fits_bytes = held + crops * machine.behaviour.bytes_per_crop


def test_smaller_batches_are_tried_when_memory_is_full(machine, caplog):
    crops = tiny_crops(11)
    with opened() as backend:
        leave_room_for(machine, 3)
        np.testing.assert_array_equal(backend.infer(crops), expected(crops))
        assert backend.max_batch == 2
        assert set(machine.behaviour.executed_batches) == {2, 1}
        warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        assert [text.partition("is too full for ")[2] for text in warnings] == [
            "a batch of 8: continuing with batches of 4",
            "a batch of 4: continuing with batches of 2",
        ]
        machine.memory.fits_bytes = 1 << 40
        caplog.clear()
        backend.infer(crops)
        assert backend.max_batch == 2, "what filled the memory may do so again"
        assert not caplog.records
    assert machine.memory.blocks == {}


def test_memory_of_other_batch_sizes_is_freed_first(one_machine):
    crops = tiny_crops(8)
    with opened() as backend:
        backend.infer(crops[:2])
        leave_room_for(one_machine, 2)  # together with those two, for four
        np.testing.assert_array_equal(backend.infer(crops), expected(crops))
        assert backend.max_batch == 4
        assert len(one_machine.memory.blocks) == 2 + 1


def test_a_single_crop_is_tried_again_without_the_larger_sizes(one_machine):
    with opened() as backend:
        backend.infer(tiny_crops(4))
        leave_room_for(one_machine, 0)
        np.testing.assert_array_equal(backend.infer(tiny_crops(1)), expected(tiny_crops(1)))


@pytest.mark.parametrize("count", [1, 5, 8])
def test_memory_too_full_for_one_crop_is_a_typed_error(one_machine, count):
    with opened() as backend:
        leave_room_for(one_machine, 0)
        with pytest.raises(DeviceMemoryError, match="memory is full; close other programs"):
            backend.infer(tiny_crops(count))
        assert stacks(one_machine) == ([], [])
        assert len(one_machine.memory.blocks) == 2, "what a failed call took is given back"
        one_machine.memory.fits_bytes = 1 << 40
        np.testing.assert_array_equal(backend.infer(tiny_crops(1)), expected(tiny_crops(1)))


def test_a_graph_without_memory_leads_to_smaller_batches(monkeypatch):
    machine = install(monkeypatch, failing_driver_call="cuGraphInstantiateWithFlags")
    machine.driver.failing_code = 2
    with opened() as backend:
        with pytest.raises(DeviceMemoryError, match="too full for a CUDA graph"):
            backend.infer(tiny_crops(8))
        assert (backend.max_batch, backend.uses_cuda_graphs) == (1, True)
        assert len(machine.memory.blocks) == 2


def test_a_run_without_memory_is_distinguished_from_other_failures(one_machine):
    one_machine.behaviour.executes = False
    with opened() as backend:
        with pytest.raises(BackendError, match="TensorRT failed to run: it gives no") as caught:
            backend.infer(tiny_crops(8))
        assert not isinstance(caught.value, DeviceMemoryError)
        assert backend.max_batch == 8
        one_machine.behaviour.execution_message = "Cuda Runtime (out of memory)"
        with pytest.raises(DeviceMemoryError, match="TensorRT failed to run"):
            backend.infer(tiny_crops(8))
        assert backend.max_batch == 1


def test_the_last_error_of_an_earlier_call_is_not_the_reason_of_a_later_one(one_machine):
    behaviour = one_machine.behaviour
    behaviour.executes, behaviour.execution_message = False, "Error Code 1: Cuda Runtime (700)"
    with opened() as backend:
        with pytest.raises(BackendError, match=r"TensorRT failed to run: .*\(700\)"):
            backend.infer(tiny_crops(1))
        behaviour.execution_message = "Error Code 1: Cuda Runtime (719)"
        with pytest.raises(BackendError, match=r"TensorRT failed to run: .*\(719\)"):
            backend.infer(tiny_crops(1))
        behaviour.execution_message = ""
        with pytest.raises(BackendError, match="TensorRT failed to run: it gives no reason"):
            backend.infer(tiny_crops(1))


def test_the_last_error_of_a_larger_batch_is_not_the_reason_of_a_smaller_one(
    one_machine, monkeypatch
):
    behaviour = one_machine.behaviour
    behaviour.executes, behaviour.execution_message = False, "Cuda Runtime (out of memory)"
    with opened() as backend:
        make_room = backend._held.close_batches

        def silenced():
            behaviour.execution_message = ""
            make_room()

        monkeypatch.setattr(backend._held, "close_batches", silenced)
        with pytest.raises(BackendError, match="it gives no reason") as caught:
            backend.infer(tiny_crops(8))
        assert not isinstance(caught.value, DeviceMemoryError)
        assert backend.max_batch == 4, "smaller batches are tried only while memory is full"


def test_another_context_error_is_not_reported_as_full_memory(one_machine):
    one_machine.behaviour.no_context = True
    one_machine.behaviour.no_context_message = "Error Code 1: Cuda Runtime (illegal address)"
    with opened() as backend:
        with pytest.raises(BackendError, match="illegal address") as caught:
            backend.infer(tiny_crops(4))
        assert not isinstance(caught.value, DeviceMemoryError)
        assert backend.max_batch == 8

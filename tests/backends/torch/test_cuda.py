"""A CUDA graph's control flow on the processor; tests/backends/test_gpu.py uses a real GPU."""

import contextlib

import numpy as np
import pytest
import torch

from rtseg.backends.torch import cuda
from rtseg.backends.torch.cuda import WARM_UP_RUNS, GraphedBatch, GraphError


class FakeCuda:
    """The part of `torch.cuda` that a graphed batch uses. A graph records what was computed during
    capture, and repeats it in the same memory, like a real one."""

    def __init__(self):
        self.current = None
        self.capturing = None
        self.capture_error = None
        self.events = []
        fake = self

        class Stream:
            def synchronize(self):
                assert fake.capturing is None

        class Event:
            def __init__(self, *, enable_timing):
                assert enable_timing
                self.recorded = False

            def record(self):
                assert fake.current is not None, "recorded on the default stream"
                self.recorded = True

            def synchronize(self):
                assert self.recorded

            def elapsed_time(self, end):
                assert self.recorded
                assert end.recorded
                return 1.5

        class CUDAGraph:
            def __init__(self):
                self.work = []

            def replay(self):
                fake.events.append("replay")
                for result, again in self.work:
                    result.copy_(again())

        self.Stream, self.Event, self.CUDAGraph = Stream, Event, CUDAGraph

    @contextlib.contextmanager
    def stream(self, stream):
        before, self.current = self.current, stream
        yield
        self.current = before

    @contextlib.contextmanager
    def graph(self, graph, *, stream, capture_error_mode):
        assert capture_error_mode == "thread_local"
        self.current, self.capturing = stream, graph
        try:
            yield
            if self.capture_error is not None:
                raise self.capture_error
        finally:
            self.current = self.capturing = None

    def compute(self, crops):
        """Mean brightness of cells of four by four pixels."""
        assert self.current is not None, "computed on the default stream"
        self.events.append("compute")

        def work():
            count, height, width, _ = crops.shape
            cells = crops.float().reshape(count, height // 4, 4, width // 4, 4, 3)
            return cells.mean((2, 4))

        result = work()
        if self.capturing is not None:
            self.capturing.work.append((result, work))
        return result


@pytest.fixture
def fake(monkeypatch):
    fake = FakeCuda()
    monkeypatch.setattr(cuda, "cuda", fake)
    monkeypatch.setattr(cuda, "_page_locked", lambda shape, dtype: torch.zeros(shape).to(dtype))
    return fake


def graphed_batch_of(fake, batch):
    return GraphedBatch(
        fake.compute,
        batch=batch,
        crop=(8, 8, 3),
        probabilities=(2, 2, 3),
        device=torch.device("cpu"),
        stream=fake.Stream(),
    )


def crops(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)


def expected(pictures):
    return pictures.reshape(-1, 2, 4, 2, 4, 3).mean((2, 4))


@pytest.mark.parametrize("graphs", [True, False])
def test_it_computes_the_current_input_each_time(fake, graphs):
    graphed = graphed_batch_of(fake, 4)
    if graphs:
        graphed.record()
        assert fake.events == ["compute"] * (WARM_UP_RUNS + 1)
    fake.events.clear()
    for seed, count in enumerate((4, 3, 1, 4)):
        pictures = crops(count, seed)
        probabilities = graphed.run(pictures)
        assert probabilities.shape == (count, 2, 2, 3)
        np.testing.assert_allclose(probabilities, expected(pictures), rtol=1e-5)
    assert fake.events == (["replay"] if graphs else ["compute"]) * 4
    assert graphed.device_seconds == 0.0015


def test_work_that_cannot_be_recorded_runs_call_by_call(fake):
    graphed = graphed_batch_of(fake, 2)
    fake.capture_error = RuntimeError("operation not permitted when stream is capturing\nmore")
    with pytest.raises(GraphError, match=r"capturing$"):
        graphed.record()
    pictures = crops(2)
    np.testing.assert_allclose(graphed.run(pictures), expected(pictures), rtol=1e-5)


def test_full_memory_is_not_reported_as_a_failed_graph(fake):
    fake.capture_error = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(torch.OutOfMemoryError):
        graphed_batch_of(fake, 2).record()

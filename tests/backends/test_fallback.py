"""A GPU that fails or runs out of memory during a run."""

import threading
from fractions import Fraction

import numpy as np
import pytest

from rtseg.backends.base import Backend
from rtseg.backends.fallback import FallbackBackend
from rtseg.errors import BackendError, DeviceMemoryError, SettingError
from rtseg.frames import Frame
from rtseg.runtime.pipeline import Pipeline
from rtseg.segmenter import Segmenter
from rtseg.settings import FaceSettings
from rtseg.sinks.base import Sink
from rtseg.sources.synthetic import MovingFaceSource
from tests.support.exported import tiny_checkpoint, tiny_crops


class Stub(Backend):
    """Predicts one class everywhere, to identify the backend; fails after a number of calls."""

    precision = "fp32"
    device = "somewhere"
    max_batch = 8

    def __init__(self, name, *, answer, calls=10**6, error=DeviceMemoryError):
        self.name, self.reason, self.model = name, f"{name} runs", tiny_checkpoint().spec
        self.answer, self.left, self.error = answer, calls, error
        self.closed = 0

    def infer(self, crops):
        if self.closed:
            raise BackendError("closed")
        if not self.left:
            raise self.error("the GPU's memory is full")
        self.left -= 1
        out = np.zeros((len(crops), 16, 24, 11), np.float32)
        out[..., self.answer] = 1
        return out

    def close(self):
        self.closed += 1


def answers(backend, crops):
    return set(backend.infer(crops).argmax(-1).flat)


def test_the_failed_call_is_repeated_by_the_next_backend(caplog):
    gpu, opened = Stub("gpu", answer=1, calls=2), []

    def cpu():
        assert gpu.closed, "its memory is given back before anything else is opened"
        opened.append(Stub("cpu", answer=2))
        return opened[-1]

    with FallbackBackend(gpu, [cpu]) as backend:
        assert (backend.name, backend.reason) == ("gpu", "gpu runs")
        answered = [answers(backend, tiny_crops(1)) for _ in range(5)]
        assert answered == [{1}, {1}, {2}, {2}, {2}]
        assert (backend.name, backend.reason, len(opened)) == ("cpu", "cpu runs", 1)
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert record.getMessage() == (
            "gpu on somewhere: the GPU's memory is full; continuing with cpu runs"
        )
    assert (gpu.closed, opened[0].closed) == (1, 1)
    with pytest.raises(BackendError, match="closed"):
        backend.infer(tiny_crops(1))
    backend.close()


def test_warming_up_falls_back_too():
    class Warmed(Stub):
        def warm_up(self):
            self.infer(tiny_crops(8))

    gpu, cpu = Warmed("gpu", answer=1, calls=1), Warmed("cpu", answer=2, calls=1)
    with FallbackBackend(gpu, [lambda: cpu]) as backend:
        backend.warm_up()
        assert (backend.name, gpu.left) == ("gpu", 0)
        backend.warm_up()
        assert (backend.name, cpu.left) == ("cpu", 0)


def test_backends_that_do_not_open_or_are_full_are_skipped():
    def missing():
        raise BackendError("openvino not installed")

    others = [missing, lambda: Stub("second", answer=2, calls=0), lambda: Stub("third", answer=3)]
    with FallbackBackend(Stub("first", answer=1, calls=0), others) as backend:
        assert answers(backend, tiny_crops(2)) == {3}


def test_without_another_backend_the_error_has_every_reason():
    def missing():
        raise BackendError("openvino not installed")

    backend = FallbackBackend(Stub("first", answer=1, calls=0), [missing])
    for _ in range(2):
        with pytest.raises(DeviceMemoryError, match="memory is full") as caught:
            backend.infer(tiny_crops(1))
        backend._current.closed = 0
    assert "openvino not installed" not in str(caught.value), "it is not tried twice"


def test_any_other_backend_failure_falls_back_too(caplog):
    """A failed GPU whose memory cannot even be freed."""

    class Dead(Stub):
        def close(self):
            super().close()
            raise BackendError("cuMemFree failed")

    gpu = Dead("gpu", answer=1, calls=1, error=BackendError)
    with FallbackBackend(gpu, [lambda: Stub("cpu", answer=2)]) as backend:
        assert answers(backend, tiny_crops(1)) == {1}
        assert answers(backend, tiny_crops(1)) == {2}
        assert (backend.name, gpu.closed) == ("cpu", 1)
    (record,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert "continuing with cpu runs" in record.getMessage()


def test_two_different_failures_are_not_reported_as_full_memory():
    gpu = Stub("gpu", answer=1, calls=0, error=BackendError)
    others = [lambda: Stub("cpu", answer=2, calls=0, error=BackendError)]
    with FallbackBackend(gpu, others) as backend:
        with pytest.raises(BackendError, match="no other backend is left to run it") as caught:
            backend.infer(tiny_crops(1))
        assert not isinstance(caught.value, DeviceMemoryError)


def test_wrong_crops_and_bugs_do_not_change_the_backend():
    gpu = Stub("gpu", answer=1, calls=0, error=ZeroDivisionError)
    with FallbackBackend(gpu, [lambda: Stub("cpu", answer=2)]) as backend:
        with pytest.raises(SettingError):
            backend.infer(tiny_crops(1).astype(np.float32))
        with pytest.raises(ZeroDivisionError):
            backend.infer(tiny_crops(1))
        assert backend.name == "gpu"


def test_streams_that_share_a_failing_backend_all_continue():
    with FallbackBackend(
        Stub("gpu", answer=1, calls=20), [lambda: Stub("cpu", answer=2)]
    ) as backend:
        answered = []

        def work():
            answered.extend(answers(backend, tiny_crops(1)) for _ in range(20))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(map(min, answered)) == [1] * 20 + [2] * 60


class Kept(Sink):
    def __init__(self):
        self.indices = []

    def open(self, info, *, width, height):
        pass

    def write(self, frame, segmentation, picture):
        assert segmentation.labels.shape == (frame.height, frame.width)
        self.indices.append(frame.index)

    def close(self, outcome):
        pass


def test_a_run_with_a_failing_backend_loses_no_frame():
    sink = Kept()
    with FallbackBackend(
        Stub("gpu", answer=1, calls=7), [lambda: Stub("cpu", answer=2)]
    ) as backend:
        Pipeline(
            source=MovingFaceSource(width=160, height=120, frame_count=30),
            segment=Segmenter(backend=backend, faces=FaceSettings(detect_every=2)),
            sink=sink,
            render=None,
            width=160,
            height=120,
        ).run()
        assert backend.name == "cpu"
    assert sink.indices == list(range(30))


def test_single_pictures_fall_back_too():
    frame = Frame(image=np.zeros((48, 64, 3), np.uint8), index=0, pts=0, time_base=Fraction(1, 25))
    with FallbackBackend(
        Stub("gpu", answer=1, calls=0), [lambda: Stub("cpu", answer=2)]
    ) as backend:
        assert Segmenter(backend=backend)(frame).labels.shape == (48, 64)

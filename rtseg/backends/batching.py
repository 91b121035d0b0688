"""Split and pad batches to the sizes a device supports; retry smaller ones when memory is full."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.errors import DeviceMemoryError

BATCHES = (1, 2, 4, 8)
"""The batch sizes that GPUs run; a call is padded up to the next."""

MEMORY_IS_FULL = (
    "the GPU's memory is full; close other programs, lower `max_faces`, or use `device` cpu"
)

_log = logging.getLogger("rtseg")


def padded(count: int) -> int:
    """The batch size that so many crops, 1 to 8, run in on a GPU: 1, 2, 4 or 8."""
    return next(batch for batch in BATCHES if batch >= count)


def probabilities_shape(backend: Backend) -> tuple[int, int, int]:
    """Rows, columns and classes of what a backend makes of one crop."""
    model = backend.model
    rows, columns = model.input_height // model.stride, model.input_width // model.stride
    return rows, columns, len(model.label_set)


def infer_what_fits(
    backend: Backend,
    crops: Crops,
    *,
    run: Callable[[Crops], ProbabilityBatch],
    make_room: Callable[[], None],
) -> ProbabilityBatch:
    """`Backend.infer` on a device whose memory may run out: half the batch is tried, down to 1.

    There is no way back to larger batches: what filled the memory may well do so again.

    Args:
        backend: its `max_batch` cuts the batches, and is lowered to what fits.
        crops: uint8 (n, h, w, 3).
        run: computes at most `max_batch` crops, or raises DeviceMemoryError. What it returns is
            copied before the next call. It sets `device_seconds` where the device has a clock;
            of several parts the sum is left there.
        make_room: gives back what earlier calls, and the one that failed, left on the device.

    Returns:
        float32 (n, h / stride, w / stride, classes).

    Raises:
        DeviceMemoryError: not even one crop fits.
    """
    out = np.empty((len(crops), *probabilities_shape(backend)), np.float32)
    done, seconds = 0, 0.0
    backend.device_seconds = None
    while done < len(crops):
        part = crops[done : done + backend.max_batch]
        try:
            out[done : done + len(part)] = run(part)
        except DeviceMemoryError as error:
            why = str(error)
        else:
            done += len(part)
            if backend.device_seconds is not None:
                seconds += backend.device_seconds
                backend.device_seconds = seconds if done == len(crops) else None
            continue
        # outside the handler: the error's traceback holds the memory of the failed call
        make_room()
        if backend.max_batch == 1:
            raise DeviceMemoryError(why)
        size = padded(len(part))
        # one crop is tried once more where larger batches' buffers were in its way
        backend.max_batch = max(1, size // 2)
        _log.warning(
            "the memory of %s is too full for a batch of %d: going on with batches of %d",
            backend.device,
            size,
            backend.max_batch,
        )
    return out

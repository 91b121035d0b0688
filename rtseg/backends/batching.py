"""Split and pad batches to the sizes a device supports; retry smaller ones when memory is full."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.errors import DeviceMemoryError

BATCHES = (1, 2, 4, 8)
"""Batch sizes for GPUs; smaller batches are padded up to the next size."""

MEMORY_IS_FULL = (
    "the GPU's memory is full; close other programs, lower `max_faces`, or use `device` cpu"
)

_log = logging.getLogger("rtseg")


def padded(count: int) -> int:
    """The GPU batch size for 1 to 8 crops: 1, 2, 4 or 8."""
    return next(batch for batch in BATCHES if batch >= count)


def infer_what_fits(
    backend: Backend,
    crops: Crops,
    *,
    run: Callable[[Crops], ProbabilityBatch],
    make_room: Callable[[], None],
) -> ProbabilityBatch:
    """Run `Backend.infer`, halving the batch size whenever the device's memory runs out.

    The batch size is never increased again, since the memory may well run out again.

    Args:
        backend: its `max_batch` limits the batches, and is lowered to what fits.
        crops: uint8 (n, h, w, 3).
        run: computes at most `max_batch` crops, or raises DeviceMemoryError. Its result is copied
            before the next call. If it sets `device_seconds`, the sum over all calls is stored.
        make_room: releases the memory that earlier and failed calls left allocated.

    Returns:
        float32 (n, h / stride, w / stride, classes).

    Raises:
        DeviceMemoryError: not even one crop fits.
    """
    out = np.empty(backend.model.output_shape(len(crops)), np.float32)
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
        # outside the handler, because the error's traceback keeps the failed call's memory alive
        make_room()
        if backend.max_batch == 1:
            raise DeviceMemoryError(why)
        size = padded(len(part))
        # try a single crop once more, in case larger batches' buffers took the memory
        backend.max_batch = max(1, size // 2)
        _log.warning(
            "the memory of %s is too full for a batch of %d: continuing with batches of %d",
            backend.device,
            size,
            backend.max_batch,
        )
    return out

"""PyTorch's compiler, for a network on a processor."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from rtseg.backends.base import CompilerError
from rtseg.errors import BackendError
from rtseg.system.cache import private_folder, user_cache

_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"

_log = logging.getLogger("rtseg")


def compiled(network: nn.Module, run_once: Callable[[nn.Module], object]) -> nn.Module:
    """The network, compiled with its weights frozen in, for inputs of one shape.

    Takes up to a minute, and some seconds where it was done before.

    Args:
        network: in evaluation mode.
        run_once: runs the network it is given on an input of that shape.

    Raises:
        CompilerError: PyTorch's compiler, or the C++ compiler that it calls, does not manage.
    """
    _keep_private()
    _log.info("compiling the network for this processor: up to a minute, the first time")
    try:
        with _quiet():
            result: nn.Module = torch.compile(  # type: ignore[assignment]
                network, fullgraph=True, dynamic=False, options={"freezing": True}
            )
            # it is the first call that compiles
            run_once(result)
    except Exception as error:
        # whatever two compilers may raise
        raise CompilerError(f"torch.compile failed: {_reason(error)}") from error
    return result


def _keep_private() -> None:
    """Keep what is compiled, which runs as native code, where only its owner can write: PyTorch's
    own place is a name in the shared temporary folder that anybody can guess."""
    if _CACHE_VARIABLE in os.environ:
        return
    try:
        os.environ[_CACHE_VARIABLE] = str(private_folder(user_cache("compiled")))
    except BackendError as error:
        raise CompilerError(f"there is no place for compiled code: {error}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PyTorch's remark that no CUDA is there, which nobody asked for."""
    logger = logging.getLogger("torch.utils.cpp_extension")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _reason(error: Exception) -> str:
    """The line that says what is wrong, of the many that PyTorch gives."""
    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    lines = [line.strip() for line in str(root).splitlines() if line.strip()]
    return f"{type(root).__name__}: {lines[0] if lines else 'no reason given'}"

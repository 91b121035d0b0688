"""Compile a network for a processor with PyTorch's compiler."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from rtseg.backends.base import CompilerError
from rtseg.errors import BackendError
from rtseg.system.cache import private_folder, user_cache

_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"

_log = logging.getLogger("rtseg")


def compiled(network: nn.Module, run_once: Callable[[nn.Module], object]) -> nn.Module:
    """Compile a network, with its weights frozen, for inputs of one shape.

    Takes up to a minute, or some seconds if the result is cached.

    Args:
        network: the network, in evaluation mode.
        run_once: runs the network passed to it on an input of that shape.

    Raises:
        CompilerError: PyTorch's compiler, or the C++ compiler that it calls, fails.
    """
    _use_private_cache()
    _log.info("compiling the network for this processor: up to a minute, the first time")
    try:
        with _quiet():
            result: nn.Module = torch.compile(  # type: ignore[assignment]
                network, fullgraph=True, dynamic=False, options={"freezing": True}
            )
            # compilation happens in the first call
            run_once(result)
    except Exception as error:
        # two compilers can raise anything
        raise CompilerError(f"torch.compile failed: {_reason(error)}") from error
    return result


def _use_private_cache() -> None:
    """Cache compiled code, which runs natively, in a folder that only its owner can write to.

    PyTorch's default is a predictable name in the shared temporary folder, and PyTorch puts it into
    the environment as soon as any of its code asks for the folder: only another one is the user's.
    """
    chosen = os.environ.get(_CACHE_VARIABLE)
    if chosen is not None and not _is_default(Path(chosen)):
        return
    try:
        os.environ[_CACHE_VARIABLE] = str(private_folder(user_cache("compiled")))
    except BackendError as error:
        raise CompilerError(f"there is no folder for compiled code: {error}") from error


def _is_default(folder: Path) -> bool:
    return folder.name.startswith("torchinductor_") and folder.parent == Path(tempfile.gettempdir())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence PyTorch's warning that CUDA is missing."""
    logger = logging.getLogger("torch.utils.cpp_extension")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _reason(error: Exception) -> str:
    """The one line of PyTorch's long message that says what is wrong."""
    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    lines = [line.strip() for line in str(root).splitlines() if line.strip()]
    return f"{type(root).__name__}: {lines[0] if lines else 'no reason given'}"

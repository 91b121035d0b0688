"""Cache the kernels that TensorRT-RTX compiled on this machine for an engine, beside the engine.

They are machine code: the folder of engines is private, and a file that was truncated or changed is
not passed to TensorRT-RTX, which itself checks that it fits the GPU, the driver and its version.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from rtseg.errors import BackendError
from rtseg.system.cache import write_private
from rtseg.system.nvidia import Gpu

SUFFIX = ".kernels"

_DIGEST_BYTES = 32

_log = logging.getLogger("rtseg")


class KernelCache:
    """The cache file of one engine on one GPU.

    Args:
        engine: the engine's path.
        gpu: the GPU and driver; each has a separate file.
    """

    def __init__(self, engine: Path, gpu: Gpu) -> None:
        about = hashlib.sha256(f"{gpu.name} {gpu.compute_capability} {gpu.driver}".encode())
        self.path = engine.with_name(f"{engine.name}.{about.hexdigest()[:8]}{SUFFIX}")
        self._known = b""

    def read(self) -> bytes:
        """The cached kernels; empty if there are none, or the file is damaged."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return b""
        digest, kernels = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(kernels).digest() != digest:
            _log.warning("%s: damaged; compiling its kernels again", self.path)
            return b""
        self._known = kernels
        return kernels

    def write(self, kernels: bytes) -> None:
        """Store kernels if they differ from those read. Never raises, since without them only the
        next start is slower."""
        if not kernels or kernels == self._known:
            return
        try:
            write_private(self.path, hashlib.sha256(kernels).digest() + kernels)
            self._known = kernels
        except BackendError as error:
            _log.warning("compiled kernels are not cached: %s", error)

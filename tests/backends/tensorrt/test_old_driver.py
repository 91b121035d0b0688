"""A driver older than TensorRT: using the real run-time would crash the process, so rtseg must
detect it first.

Needs NVIDIA's lean run-time, 44 MB from PyPI, which no extra installs:
`pip install --no-deps tensorrt-lean-cu13-libs tensorrt-lean-cu13-bindings`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.cuda_stub.build import compiler, header_folder, library

ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux" or compiler() is None or header_folder() is None,
        reason="a C compiler and cuda.h, on Linux, build the stub",
    ),
    pytest.mark.skipif(
        find_spec("tensorrt_lean_bindings") is None,
        reason="pip install --no-deps tensorrt-lean-cu13-libs tensorrt-lean-cu13-bindings",
    ),
]

PROGRAM = """
import ctypes, sys
from rtseg.backends.tensorrt import library
from rtseg.errors import BackendError

ctypes.CDLL("libcuda.so.1").stub_set_version(12040)
if "unchecked" in sys.argv:
    library.cuda_compatibility_problem = lambda *_arguments: None
try:
    module = library.library_to_run().module
except BackendError as error:
    print(error)
else:
    module.Runtime(module.Logger(module.Logger.ERROR)).deserialize_cuda_engine(b"no engine")
    print("survived")
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The lean run-time, with the name and metadata of the full TensorRT."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "tensorrt.py").write_text(
        "from tensorrt_lean_bindings import *\nfrom tensorrt_lean_bindings import __version__\n"
    )
    described = folder / "tensorrt_cu13_bindings-11.4.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Name: tensorrt-cu13-bindings\nVersion: 11.4.0\n")
    return folder


def run(packages: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = [str(packages), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(library(folder).parent),
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_an_old_driver_is_detected_before_the_process_crashes(packages, tmp_path):
    done = run(packages, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "TensorRT was built for CUDA 13, but the NVIDIA driver supports CUDA 12.4; update the "
        "driver, or install the build for CUDA 12\n"
    )


def test_without_the_check_the_process_crashes(packages, tmp_path):
    """The reason for the check; if NVIDIA's own check succeeds one day, it can be removed."""
    done = run(packages, tmp_path, "unchecked")
    assert done.returncode == -signal.SIGSEGV, done.stdout + done.stderr

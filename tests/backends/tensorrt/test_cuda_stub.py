"""The TensorRT backend through the real cuda-bindings and the real PyCUDA, on a stub of libcuda.

Needs a C compiler and cuda.h (from a CUDA toolkit or from PyTorch); PyCUDA also needs nvcc, and a
minute or two to be compiled, so that test has the marker `builder`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.backends.tensorrt import driver_process
from tests.support.cuda_stub.build import compiler, header_folder, library
from tests.support.exported import tiny_onnx

ALL = (*driver_process.RUNS, "failures devices")
PYCUDA = ("pycuda", "pytools", "platformdirs", "mako", "siphash24", "markupsafe")

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or compiler() is None or header_folder() is None,
    reason="a C compiler and cuda.h, on Linux, build the stub",
)


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    return library(tmp_path_factory.mktemp("stub")).parent


def run(names, tmp_path, stub, *, cuda, packages=""):
    model = tmp_path / "tiny.onnx"
    model.write_bytes(tiny_onnx().data)
    path = os.pathsep.join(filter(None, [packages, str(driver_process.ROOT)]))
    environment = {"LD_LIBRARY_PATH": str(stub), "PYTHONPATH": path}
    driver_process.run(
        names, model=model, folder=tmp_path, cuda=cuda, seconds=100, environment=environment
    )


@pytest.mark.parametrize("names", ALL)
def test_through_cuda_bindings(names, tmp_path, stub):
    if find_spec("cuda") is None or find_spec("cuda.bindings") is None:
        pytest.skip("cuda-bindings is not installed")
    run(names, tmp_path, stub, cuda="cuda-bindings")


@pytest.fixture(scope="module")
def pycuda(stub, tmp_path_factory):
    """PyCUDA, compiled against the stub into its own folder, or into RTSEG_PYCUDA_BUILD."""
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc compiles PyCUDA")
    kept = os.environ.get("RTSEG_PYCUDA_BUILD")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("pycuda")
    if not (folder / "pycuda").is_dir():
        # its build reads settings here; cuRAND is not needed, and not always installed
        (folder / ".aksetup-defaults.py").write_text("CUDA_ENABLE_CURAND = False\n")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run(
            [*pip, "--no-binary", "pycuda", "--target", str(folder), *PYCUDA],
            env={
                **os.environ,
                "HOME": str(folder),
                "LIBRARY_PATH": str(stub),
                "CPATH": str(header_folder()),
                "CUDA_ROOT": str(header_folder().parent),
            },
            check=True,
            timeout=500,
        )
    return folder


@pytest.mark.builder
@pytest.mark.timeout(600)
@pytest.mark.skipif(sysconfig.get_config_var("Py_GIL_DISABLED") == 1, reason="PyCUDA needs the GIL")
@pytest.mark.parametrize("names", ALL)
def test_through_pycuda(names, tmp_path, stub, pycuda):
    run(names, tmp_path, stub, cuda="pycuda", packages=str(pycuda))

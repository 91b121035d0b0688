"""Every TensorRT name and keyword that rtseg uses exists in the real bindings.

The lean bindings can be imported without a GPU and hold the run-time's classes with signatures in
their docstrings; of the full bindings only the names inside their binary can be read here. Each
test is skipped where its package is not installed:

    pip install --no-deps tensorrt-lean-cu13-libs tensorrt-lean-cu13-bindings nvidia-cuda-runtime
    pip install --no-deps tensorrt-cu13-bindings
"""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

import rtseg
from tests.support.fakes.tensorrt import Behaviour, make_tensorrt

SOURCES = [
    Path(rtseg.__file__).parent / name
    for name in ("backends/tensorrt/builder.py", "backends/tensorrt/backend.py")
]

# (class, attribute or None, parameters that are passed, in their order)
RUNTIME = [
    ("Runtime", "__init__", ["logger"]),
    ("Runtime", "deserialize_cuda_engine", ["serialized_engine"]),
    ("ILogger", "__init__", []),
    ("ILogger", "log", ["severity", "msg"]),
    ("ILogger", "ERROR", None),
    ("ILogger", "INTERNAL_ERROR", None),
    ("ICudaEngine", "num_io_tensors", None),
    ("ICudaEngine", "get_tensor_name", ["index"]),
    ("ICudaEngine", "get_tensor_shape", ["name"]),
    ("ICudaEngine", "get_tensor_profile_shape", ["name", "profile_index"]),
    ("ICudaEngine", "create_execution_context", ["strategy"]),
    ("ExecutionContextAllocationStrategy", "USER_MANAGED", None),
    ("IExecutionContext", "update_device_memory_size_for_shapes", []),
    ("IExecutionContext", "set_device_memory", ["memory", "size"]),
    ("IExecutionContext", "set_input_shape", ["name", "shape"]),
    ("IExecutionContext", "set_tensor_address", ["name", "memory"]),
    ("IExecutionContext", "execute_async_v3", ["stream_handle"]),
    ("IProgressMonitor", "__init__", []),
    ("IProgressMonitor", "phase_start", ["phase_name", "parent_phase", "num_steps"]),
    ("IProgressMonitor", "step_complete", ["phase_name", "step"]),
    ("IProgressMonitor", "phase_finish", ["phase_name"]),
    ("ITimingCache", "serialize", []),
    ("MemoryPoolType", "WORKSPACE", None),
    ("BuilderFlag", "TF32", None),
]

BUILDER = [
    *("Builder", "create_network", "create_builder_config", "create_optimization_profile"),
    *("build_serialized_network", "NetworkDefinitionCreationFlag", "STRONGLY_TYPED", "flags"),
    *("IBuilderConfig", "set_memory_pool_limit", "builder_optimization_level", "clear_flag"),
    *("create_timing_cache", "set_timing_cache", "get_timing_cache", "ignore_mismatch"),
    *("add_optimization_profile", "progress_monitor", "IOptimizationProfile", "set_shape"),
    *("OnnxParser", "parse", "num_errors", "get_error", "desc", "network", "logger", "serialize"),
    *("TF32", "WORKSPACE", "IProgressMonitor", "ILogger"),
]

# names of Python's own and of rtseg's that stand on the same objects
OURS = {"errors", "interruption", "__version__", "_tracker", "_report", "append", "clear", "split"}


@pytest.mark.parametrize(("owner", "member", "parameters"), RUNTIME)
def test_run_time_names(owner, member, parameters):
    bindings = pytest.importorskip("tensorrt_lean_bindings")
    found = getattr(getattr(bindings, owner), member)
    if parameters is None:
        return
    documented = [
        re.findall(r"[(,]\s*(\w+)\s*:", line)
        for line in found.__doc__.splitlines()
        if re.match(rf"(\d+\. )?{re.escape(member)}\(self", line)
    ]
    assert documented, found.__doc__
    assert any(names[: 1 + len(parameters)] == ["self", *parameters] for names in documented), (
        documented
    )


@pytest.mark.parametrize("name", BUILDER)
def test_builder_names(name):
    spec = importlib.util.find_spec("tensorrt_bindings")
    if spec is None or spec.origin is None:
        pytest.skip("tensorrt-cu13-bindings is not installed")
    (binary,) = Path(spec.origin).parent.glob("tensorrt*.so")
    # linkers keep one copy of strings that end alike, so the end is what counts
    assert name.encode() + b"\0" in binary.read_bytes()


def used_names() -> set[str]:
    """Attributes that the two files take from TensorRT's module or its objects."""
    holders = {"tensorrt", "_tensorrt", "builder", "config", "parser", "network", "profile"}
    holders |= {"_runtime", "_engine", "engine", "_context", "cache", "logger"}
    names = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Attribute):
                holder = node.value
                if isinstance(holder, ast.Call):
                    holder = holder.func
                last = getattr(holder, "attr", getattr(holder, "id", ""))
                if last in holders:
                    names.add(node.attr)
    return names


def test_the_lists_above_are_complete():
    """A name that the code uses and no list checks would go unnoticed until a GPU is there."""
    pycuda = {"push", "pop", "detach", "init", "Device", "Stream", "retain_primary_context"}
    pycuda |= {"MemoryError", "Error"}
    listed = {member for _owner, member, _parameters in RUNTIME}
    listed |= {owner for owner, _member, _parameters in RUNTIME} | set(BUILDER)
    assert used_names() - listed - OURS - pycuda == set()
    assert {"execute_async_v3", "build_serialized_network", "set_shape"} <= used_names()


@pytest.mark.parametrize("version", ["10.13.0.35", "11.4.0.106"])
def test_the_fake_has_no_name_that_the_lists_lack(version):
    module = make_tensorrt(version, Behaviour())
    listed = {owner for owner, _member, _parameters in RUNTIME} | set(BUILDER)
    public = {name for name in vars(module) if not name.startswith("__")}
    assert public - listed == set()

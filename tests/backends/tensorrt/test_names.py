"""Every TensorRT name and keyword that rtseg uses exists in the real bindings.

TensorRT-RTX's bindings contain all of them, with signatures in their docstrings; for the run-time
classes, so do TensorRT's lean bindings. Of TensorRT's full bindings, only the names inside the
binary can be read without its libraries. A test is skipped if its package is not installed:

    pip install 'rtseg[tensorrt-rtx]'
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
from rtseg.backends.tensorrt.library import ARCHITECTURES
from tests.support.fakes.tensorrt import make_tensorrt
from tests.support.fakes.tensorrt_behaviour import Behaviour

ROOM = Path(rtseg.__file__).parent / "backends" / "tensorrt"
SOURCES = [ROOM / f"{name}.py" for name in ("builder", "progress", "backend", "execution")]

# (class, attribute or None, parameters passed, in order)
RUNTIME = [
    ("Runtime", "__init__", ["logger"]),
    ("Runtime", "deserialize_cuda_engine", ["serialized_engine"]),
    ("ILogger", "__init__", []),
    ("ILogger", "log", ["severity", "msg"]),
    ("ILogger", "ERROR", None),
    ("ILogger", "INTERNAL_ERROR", None),
    ("ICudaEngine", "num_io_tensors", None),
    ("ICudaEngine", "num_optimization_profiles", None),
    ("ICudaEngine", "get_tensor_name", ["index"]),
    ("ICudaEngine", "get_tensor_shape", ["name"]),
    ("ICudaEngine", "get_tensor_profile_shape", ["name", "profile_index"]),
    ("ICudaEngine", "create_execution_context", ["strategy"]),
    ("ExecutionContextAllocationStrategy", "USER_MANAGED", None),
    ("IExecutionContext", "set_optimization_profile_async", ["profile_index", "stream_handle"]),
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
    ("ProfilingVerbosity", "DETAILED", None),
]

BUILDER = [
    ("Builder", "__init__", ["logger"]),
    ("Builder", "create_network", ["flags"]),
    ("Builder", "create_builder_config", []),
    ("Builder", "create_optimization_profile", []),
    ("Builder", "build_serialized_network", ["network", "config"]),
    ("NetworkDefinitionCreationFlag", "STRONGLY_TYPED", None),
    ("IBuilderConfig", "set_memory_pool_limit", ["pool", "pool_size"]),
    ("IBuilderConfig", "builder_optimization_level", None),
    ("IBuilderConfig", "profiling_verbosity", None),
    ("IBuilderConfig", "progress_monitor", None),
    ("IBuilderConfig", "clear_flag", ["flag"]),
    ("IBuilderConfig", "create_timing_cache", ["serialized_timing_cache"]),
    ("IBuilderConfig", "set_timing_cache", ["cache", "ignore_mismatch"]),
    ("IBuilderConfig", "get_timing_cache", []),
    ("IBuilderConfig", "add_optimization_profile", ["profile"]),
    ("IOptimizationProfile", "set_shape", ["input", "min", "opt", "max"]),
    ("OnnxParser", "__init__", ["network", "logger"]),
    ("OnnxParser", "parse", ["model"]),
    ("OnnxParser", "num_errors", None),
    ("OnnxParser", "get_error", ["index"]),
    ("ParserError", "desc", []),
    ("ParserError", "node_name", []),
    ("ParserError", "node_operator", []),
]

RTX = [
    ("IBuilderConfig", "num_compute_capabilities", None),
    ("IBuilderConfig", "set_compute_capability", ["compute_capability", "index"]),
    ("IBuilderConfig", "set_flag", ["flag"]),
    ("BuilderFlag", "REQUIRE_USER_ALLOCATION", None),
    *(("ComputeCapability", name.upper(), None) for name in ARCHITECTURES),
    ("ICudaEngine", "create_runtime_config", []),
    ("ICudaEngine", "create_execution_context", ["runtime_config"]),
    ("IRuntimeConfig", "set_execution_context_allocation_strategy", ["strategy"]),
    ("IRuntimeConfig", "dynamic_shapes_kernel_specialization_strategy", None),
    ("IRuntimeConfig", "cuda_graph_strategy", None),
    ("IRuntimeConfig", "create_runtime_cache", []),
    ("IRuntimeConfig", "set_runtime_cache", ["cache"]),
    ("IRuntimeCache", "deserialize", ["blob"]),
    ("IRuntimeCache", "serialize", []),
    ("DynamicShapesKernelSpecializationStrategy", "EAGER", None),
    ("CudaGraphStrategy", "DISABLED", None),
    ("IExecutionContext", "is_stream_capturable", ["stream"]),
]

# names of Python or of rtseg that occur on the same objects
OURS = {"errors", "interruption", "_tracker", "_report", "_guarded", "append", "clear", "close"}
OURS |= {
    "manifest",
    "path",
    "last_error",
    "layers",
    "stop",
    "startswith",
    "read",
    "write",
    "encode",
    "current",
}


def check(bindings, owner, member, parameters):
    documented_object = getattr(getattr(bindings, owner), member)
    if parameters is None:
        return
    documented = [
        re.findall(r"[(,]\s*(\w+)\s*:", line)
        for line in documented_object.__doc__.splitlines()
        if re.match(rf"(\d+\. )?{re.escape(member)}\(self", line)
    ]
    assert documented, documented_object.__doc__
    assert any(names[: 1 + len(parameters)] == ["self", *parameters] for names in documented), (
        documented
    )


@pytest.mark.parametrize(("owner", "member", "parameters"), [*RUNTIME, *BUILDER, *RTX])
def test_names_of_tensorrt_rtx_exist(owner, member, parameters):
    check(pytest.importorskip("tensorrt_rtx_bindings"), owner, member, parameters)


@pytest.mark.parametrize(("owner", "member", "parameters"), RUNTIME)
def test_run_time_names_exist(owner, member, parameters):
    check(pytest.importorskip("tensorrt_lean_bindings"), owner, member, parameters)


@pytest.mark.parametrize("name", sorted({name for row in BUILDER for name in row[:2]}))
def test_builder_names_exist(name):
    spec = importlib.util.find_spec("tensorrt_bindings")
    if spec is None or spec.origin is None:
        pytest.skip("tensorrt-cu13-bindings is not installed")
    (binary,) = Path(spec.origin).parent.glob("tensorrt*.so")
    # linkers merge strings with a common ending, so the ending is compared
    assert name.encode() + b"\0" in binary.read_bytes()


def used_names() -> set[str]:
    """The attributes of TensorRT's module and objects that the files use."""
    holders = {"module", "builder", "config", "parser", "network", "profile", "context", "error"}
    holders |= {"_runtime", "_engine", "engine", "_context", "_config", "_kernels", "cache"}
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


LISTED = {name for row in (*RUNTIME, *BUILDER, *RTX) for name in row[:2]}


def test_the_lists_above_are_complete():
    """A name that is used but not in any list would go unnoticed until a GPU is available."""
    assert used_names() - LISTED - OURS - {"out_of_memory", "architectures"} == set()
    assert {"execute_async_v3", "build_serialized_network", "set_shape"} <= used_names()
    assert {"set_runtime_cache", "set_compute_capability", "ProfilingVerbosity"} <= used_names()


@pytest.mark.parametrize("version", ["10.13.0.35", "11.4.0.106", "1.7.1.116"])
def test_the_fake_has_no_name_that_the_lists_lack(version):
    module = make_tensorrt(version, Behaviour())
    public = {name for name in vars(module) if not name.startswith("__")}
    assert public - LISTED == set()

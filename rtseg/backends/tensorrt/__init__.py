"""TensorRT: build engines from exported models by recipe, store, check and run them.

library.py      TensorRT or TensorRT-RTX, whichever is installed
recipe.py       the settings that an engine is built with, one TOML file each
target.py       the GPU or the architectures that it is built for
builder.py      ONNX to a serialized engine; progress.py: progress of a build
manifest.py     the description of a built engine
store.py        where engines are stored, and when one is built
loading.py      from a model to a running backend
backend.py      runs an engine; execution.py: one batch size; cuda_graph.py: its recording
cuda_device.py  the CUDA calls needed; pycuda_device.py, bindings_device.py: implementations
inspection.py   the layers of an engine
"""

from rtseg.backends.tensorrt.builder import build_plan
from rtseg.backends.tensorrt.manifest import Engine, Manifest, StaleEngineError
from rtseg.backends.tensorrt.progress import Progress
from rtseg.backends.tensorrt.recipe import EngineRecipe, read_recipe, shipped_recipes
from rtseg.backends.tensorrt.store import (
    ParityCheck,
    engine_folder,
    engine_key,
    find_engine,
    list_engines,
    prepare_engine,
    remove_engines,
)
from rtseg.backends.tensorrt.target import Target, other_machines, this_machine

__all__ = [
    "Engine",
    "EngineRecipe",
    "Manifest",
    "ParityCheck",
    "Progress",
    "StaleEngineError",
    "Target",
    "build_plan",
    "engine_folder",
    "engine_key",
    "find_engine",
    "list_engines",
    "other_machines",
    "prepare_engine",
    "read_recipe",
    "remove_engines",
    "shipped_recipes",
    "this_machine",
]

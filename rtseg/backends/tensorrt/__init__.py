"""TensorRT engines: built from an exported model by a recipe, kept, and checked before use.

recipe.py   what an engine is built with, one TOML file each
builder.py  ONNX to a serialized engine
store.py    where engines lie, what is known of each, and when one is built
"""

from rtseg.backends.tensorrt.builder import Progress, build_plan
from rtseg.backends.tensorrt.recipe import EngineRecipe, read_recipe, shipped_recipes
from rtseg.backends.tensorrt.store import (
    Engine,
    Manifest,
    ParityCheck,
    StaleEngineError,
    engine_folder,
    engine_key,
    find_engine,
    list_engines,
    prepare_engine,
    remove_engines,
)

__all__ = [
    "Engine",
    "EngineRecipe",
    "Manifest",
    "ParityCheck",
    "Progress",
    "StaleEngineError",
    "build_plan",
    "engine_folder",
    "engine_key",
    "find_engine",
    "list_engines",
    "prepare_engine",
    "read_recipe",
    "remove_engines",
    "shipped_recipes",
]

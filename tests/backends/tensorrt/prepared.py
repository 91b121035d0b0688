"""Build and find an engine of a tiny network on fake libraries."""

from rtseg.backends.tensorrt import (
    EngineRecipe,
    this_machine,
)
from rtseg.backends.tensorrt import find_engine as find_engine_for
from rtseg.backends.tensorrt import prepare_engine as prepare_engine_for

RECIPE = EngineRecipe(name="tiny", largest_batch=4, workspace_mib=512)


def prepare_engine(exported, recipe, **options):
    return prepare_engine_for(exported, recipe, this_machine(), **options)


def find_engine(exported, recipe):
    return find_engine_for(exported, recipe, this_machine())

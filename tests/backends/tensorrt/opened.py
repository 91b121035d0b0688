"""Build and open an engine of a tiny network on fake libraries."""

from rtseg.backends.tensorrt import (
    EngineRecipe,
    prepare_engine,
    this_machine,
)
from rtseg.backends.tensorrt.backend import TensorRtBackend
from tests.support.exported import tiny_checkpoint, tiny_onnx
from tests.support.fakes.tensorrt_behaviour import probabilities_of

RECIPE = EngineRecipe(name="tiny")
STRIDE = tiny_checkpoint().spec.stride
VERSIONS = ("10.13.0.35", "11.4.0.106", "1.7.1.116")  # the last is TensorRT-RTX's


def agreeing(_plan, _manifest):
    return 1.0


def built(recipe=RECIPE):
    return prepare_engine(tiny_onnx(), recipe, this_machine(), parity_check=agreeing)


def opened(recipe=RECIPE, **options):
    engine = built(recipe)
    return TensorRtBackend(engine.read(), engine.manifest, **options)


def expected(crops):
    return probabilities_of(crops, stride=STRIDE, classes=11)


def stacks(machine):
    return machine.memory.driver_stack, machine.memory.pycuda_stack

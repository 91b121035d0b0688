"""Time of a network's layers in OpenVINO: `python -m tests.benchmarks.layers [MODEL.onnx]`.

One crop at a time on one thread, by OpenVINO's own counters, which add a few hundredths to the time
of a crop. Prints a row for each kind of kernel: its layers, their time, its share, and the
multiplications per time, by which one can tell how near a layer is to what the processor can do.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from rtseg.backends.openvino import _Compiled
from rtseg.export.onnx_file import INPUT, OnnxModel, read_onnx
from rtseg.system.machine import this_machine
from tests.benchmarks.speed_page import table

_SHIPPED = Path(__file__).parents[2] / "rtseg" / "weights" / "face-parts.int8.onnx"
_WARM_UP = 20
_SHARE = 0.2  # of the calls that a layer's time is taken from: the other ones were disturbed


def main() -> int:
    """Measure a model, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", nargs="?", type=Path, default=_SHIPPED)
    parser.add_argument("--calls", type=int, default=160)
    options = parser.parse_args()
    exported = read_onnx(options.model)
    by_kind: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    products = products_of_layers(exported)
    for (name, kind), milliseconds in layer_times(exported, calls=options.calls).items():
        by_kind[kind].append((milliseconds, products.get(name, 0.0)))
    total = sum(time for layers in by_kind.values() for time, _ in layers)
    rows = []
    for kind, layers in sorted(by_kind.items(), key=lambda item: -sum(t for t, _ in item[1])):
        time, computed = (sum(values) for values in zip(*layers, strict=True))
        speed = f"{computed / time / 1e6:.0f}" if computed else "–"
        rows.append((kind, f"{len(layers)}", f"{time:.2f}", f"{time / total:.0%}", speed))
    rows.append(("**together**", "", f"**{total:.2f}**", "", ""))
    click.echo(table(("kernel", "layers", "ms a crop", "share", "million products a ms"), rows))
    click.echo(this_machine().line())
    return 0


def layer_times(exported: OnnxModel, *, calls: int) -> dict[tuple[str, str], float]:
    """The milliseconds of each layer, by its name and the kind of its kernel."""
    import openvino

    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": 1,
        "ENABLE_CPU_PINNING": False,
        "PERF_COUNT": True,
    }
    network = _Compiled(openvino, openvino.Core(), exported, options)
    model = exported.model
    crop = np.random.default_rng(0).integers(
        0, 256, (model.input_height, model.input_width, 3), np.uint8
    )
    times: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for call in range(_WARM_UP + calls):
        network(crop)
        for layer in network.request.profiling_info if call >= _WARM_UP else ():
            if layer.status.name == "EXECUTED":
                key = (layer.node_name, f"{layer.node_type} {layer.exec_type}")
                times[key].append(layer.real_time.total_seconds() * 1e3)
    return {key: float(np.quantile(values, _SHARE)) for key, values in times.items()}


def products_of_layers(exported: OnnxModel) -> dict[str, float]:
    """The multiplications of each convolution, by its name."""
    import openvino

    network = openvino.Core().read_model(exported.data)
    model = exported.model
    network.reshape({INPUT: [1, model.input_height, model.input_width, 3]})
    return {
        node.get_friendly_name(): float(math.prod(node.output(0).get_shape()) * _kernel(node))
        for node in network.get_ops()
        if node.get_type_name() in ("Convolution", "GroupConvolution")
    }


def _kernel(convolution: Any) -> int:
    """The multiplications for one of its outputs."""
    grouped = convolution.get_type_name() == "GroupConvolution"
    return math.prod(convolution.input(1).get_shape()[2 if grouped else 1 :])


if __name__ == "__main__":
    sys.exit(main())

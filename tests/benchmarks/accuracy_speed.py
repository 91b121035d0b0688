"""Plot accuracy over milliseconds: the shipped model in every precision of every run-time of this
processor, the speed of other software, and the published accuracy of models that do not run here.

    python -m tests.benchmarks.accuracy_speed --data DIR --json figures.json
    python -m tests.benchmarks.accuracy_speed --figures figures.json -o accuracy-speed.png

All are measured in alternation, so that a busy moment affects all of them; the median of 30 calls
counts. F1 is the mean over all classes except the background, on the pictures by which the recipe
makes its decisions.
MediaPipe is measured with `--mediapipe PYTHON`, an interpreter that has its wheel 0.10.14.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from rtseg.backends import open_backend
from rtseg.backends.parity import portrait_crops
from rtseg.backends.registry import RUNTIMES
from rtseg.checkpoint import read_checkpoint
from rtseg.errors import RtsegError
from rtseg.system.machine import this_machine
from rtseg.weights import default_checkpoint_path
from training.data.base import Dataset
from training.evaluation.predictor import evaluate
from training.quantize import BackendLabeller, mean_f1
from training.recipes import recipe_of

TURNS, WARM_UP = 30, 4


PUBLISHED = {
    "SegFace, Narayan et al. 2025": 0.8896,
    "Wei et al. 2019": 0.821,
}
"""Mean F1 on CelebAMask-HQ's test pictures as their authors (SegFace, AAAI 2025) or a later paper
(Wei et al., TIP 2019) give it: 512x512, 18 classes, on a GPU."""


def main() -> None:
    """Measure, print a table, and plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the folder of data sets")
    parser.add_argument("--recipe", help="whose pictures [default: the model's own]")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--mediapipe", type=Path, help="a Python that has mediapipe 0.10.14")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--figures", type=Path, help="draw these, and measure nothing")
    parser.add_argument("-o", "--output", type=Path, help="PNG, SVG or PDF")
    options = parser.parse_args()
    if options.figures is not None:
        figures = json.loads(options.figures.read_text())
    elif options.data is not None:
        model = read_checkpoint(default_checkpoint_path())
        recipe = recipe_of(options.recipe or str(model.spec.provenance["recipe"]))
        dataset = recipe.evaluation(options.data, recipe.splits[0])
        times, scores = measure(dataset, threads=options.threads)
        if options.mediapipe is not None:
            times |= mediapipe_times(options.mediapipe)
        figures = {"ms": times, "f1": scores, "machine": this_machine().line()}
    else:
        parser.error("--data measures, --figures draws what was measured")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2))
    click.echo("| network | ms, median | mean F1 |\n| --- | --- | --- |")
    for name, ms in figures["ms"].items():
        score = f"{figures['f1'][name]:.4f}" if name in figures["f1"] else "–"
        click.echo(f"| {name} | {ms:.1f} | {score} |")
    click.echo(figures["machine"])
    if options.output is not None:
        draw(figures["ms"], figures["f1"], options.output, machine=figures["machine"])


def mediapipe_times(python: Path) -> dict[str, float]:
    """Milliseconds per picture of MediaPipe's networks on the portrait."""
    from skimage.data import astronaut

    child = Path(__file__).with_name("mediapipe_times.py")
    with TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.npy"
        np.save(picture, astronaut())
        done = subprocess.run(
            [python, child, picture], capture_output=True, text=True, check=True, timeout=120
        )
    times: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return times


def measure(dataset: Dataset, *, threads: int) -> tuple[dict[str, float], dict[str, float]]:
    """(milliseconds per crop, mean F1) by name; other software has no F1."""
    calls: dict[str, Callable[[], object]] = {}
    scores = {}
    for runtime in RUNTIMES:
        for precision in runtime.precisions.get("cpu", ()):
            try:
                backend = open_backend(
                    runtime.name, device="cpu", precision=precision, threads=threads
                )
            except RtsegError as error:
                click.echo(f"not measured: {runtime.name} {precision}: {error}")
                continue
            name, spec = f"{runtime.name} {precision}", backend.model
            crop = portrait_crops(spec)[:1]
            calls[name] = partial(backend.infer, crop)
            size = (spec.input_height, spec.input_width)
            matrix = evaluate(BackendLabeller(backend), dataset, size=size, fit=spec.fit)
            scores[name] = mean_f1(matrix, spec.label_set.background)
    calls |= peers(threads)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(WARM_UP + TURNS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= WARM_UP:
                taken[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(times) for name, times in taken.items()}, scores


def peers(threads: int) -> dict[str, Callable[[], object]]:
    """BiSeNet-R18 at 512x512 with random weights, in PyTorch and in ONNX Runtime, in FP32."""
    import onnxruntime
    import torch

    from tests.benchmarks.bisenet import SIDE, BiSeNet

    torch.manual_seed(0)
    network = BiSeNet().eval()
    picture = torch.zeros(1, 3, SIDE, SIDE)
    file = io.BytesIO()
    program = torch.onnx.export(network, (picture,), dynamo=True, verbose=False)
    assert program is not None
    file.write(program.model_proto.SerializeToString())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        file.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    (given,) = (value.name for value in session.get_inputs())

    def eager() -> object:
        with torch.inference_mode():
            return network(picture)

    return {
        "BiSeNet-R18@512, torch fp32": eager,
        "BiSeNet-R18@512, onnxruntime fp32": lambda: session.run(None, {given: picture.numpy()}),
    }


def draw(times: dict[str, float], scores: dict[str, float], path: Path, *, machine: str) -> None:
    """Milliseconds to the right, F1 upwards; a network that has only one of both is a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained", dpi=110)
    axes = figure.subplots()
    above = False
    for name, ms in sorted(times.items(), key=lambda item: item[1]):
        if name not in scores:
            axes.axvline(ms, color="#b06060", linestyle="--", linewidth=1)
            axes.annotate(
                f" {name}, {ms:.1f} ms",
                (ms, 0.02),
                xycoords=("data", "axes fraction"),
                rotation=90,
                fontsize=8,
            )
            continue
        axes.plot(ms, scores[name], "o", color="#2f6f8f")
        above = not above  # labels of neighbouring points must not overlap
        axes.annotate(
            f"{name}, {ms:.1f} ms",
            (ms, scores[name]),
            xytext=(2, 5 if above else -5),
            textcoords="offset points",
            rotation=55 if above else -55,
            va="bottom" if above else "top",
            fontsize=8,
        )
    for name, score in PUBLISHED.items():
        axes.axhline(score, color="#70905a", linestyle=":", linewidth=1)
        axes.annotate(
            f"{name}: {score:.3f}",
            (0.16, score),
            xycoords=("axes fraction", "data"),
            va="bottom",
            fontsize=8,
        )
    every = [*scores.values(), *PUBLISHED.values()]
    # values that differ by less than a hundredth are placed at the same height
    axes.set_ylim(min(every) - 0.1, max(every) + 0.05)
    axes.set_xscale("log")
    axes.set(xlabel="ms per picture (logarithmic)", ylabel="mean F1")
    axes.set_title(machine, fontsize=10)
    figure.savefig(path)


if __name__ == "__main__":
    main()

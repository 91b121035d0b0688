"""Compare network architectures of the shipped model's size by accuracy and speed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from rtseg.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from rtseg.errors import BackendError
from rtseg.labels import HELEN
from rtseg.models import build_model
from rtseg.settings import BackendName, Precision
from training.evaluation.markdown import share, table
from training.evaluation.metrics import f1_of, iou_of, mean_of
from training.evaluation.report import figure
from training.recipes import recipe_of
from training.studies.study import Outcome, Study, Trial

SIZE = 128
TIMED_SIZE = 256
ROUNDS = 60
CHANGES = (
    *("epochs=2", "batch=16", f"input_height={SIZE}", f"input_width={SIZE}", "loss_step=2"),
    *("optimizer=adamw", "weight_decay=0.02", "beta2=0.99", "schedule=one-cycle"),
    *("learning_rate=2e-3", "average=0.98", "loss=cross-entropy + dice", "clip=2"),
    *("precision=bf16", "augmentation=flip", "workers=0", "evaluate_every=1000"),
)
SPLIT = "val"
KINDS: tuple[tuple[BackendName, Precision], ...] = (("torch", "bf16"), ("openvino", "bf16"))
"""The backends and precisions to time."""


def _pyramid(factor: float, pyramid: int) -> dict[str, Any]:
    """The network without a fine head, with widths scaled in steps of eight channels."""

    def scaled(channels: int) -> int:
        return max(8, 8 * round(channels * factor / 8))

    widths = [scaled(channels) for channels in (40, 88, 160, 192)]
    return {"stem": scaled(32), "widths": widths, "pyramid": pyramid}


NETWORKS: Mapping[str, tuple[str, dict[str, Any], int]] = {
    "pyramid 1x, fine head (0.1's)": ("residual-pyramid", {"fine": 24}, 2),
    "pyramid 1x": ("residual-pyramid", {}, 4),
    "pyramid 0.7x": ("residual-pyramid", _pyramid(0.7, 48), 4),
    "pyramid 0.5x": ("residual-pyramid", _pyramid(0.5, 32), 4),
    "pyramid 1x, decoder of 32": ("residual-pyramid", _pyramid(1, 32), 4),
    "FPN, MobileNetV2": (
        "smp-fpn",
        {
            "encoder_name": "mobilenet_v2",
            "decoder_pyramid_channels": 64,
            "decoder_segmentation_channels": 64,
        },
        4,
    ),
    "DeepLabV3+, MobileNetV2": (
        "smp-deeplabv3plus",
        {"encoder_name": "mobilenet_v2", "decoder_channels": 96},
        4,
    ),
}
"""By the name in the table: architecture, options, stride of the logits."""


def _trial(name: str) -> Trial:
    architecture, options, stride = NETWORKS[name]
    recipe = recipe_of("helen-unet").with_spec(
        architecture=architecture,
        options=options,
        stride=stride,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )
    folder = "".join(c if c.isalnum() or c == "." else "-" for c in name.lower())
    settings = recipe.settings.changed(CHANGES)
    return Trial(name=folder, recipe=recipe, settings=settings, cells={"network": name})


def multiplications(checkpoint: Checkpoint) -> int:
    """Multiply-accumulate operations per picture at the checkpoint's input size."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network = build_model(
            checkpoint.spec.architecture,
            classes=len(checkpoint.spec.label_set),
            options=checkpoint.spec.options,
        )
        picture = torch.zeros(1, 3, checkpoint.spec.input_height, checkpoint.spec.input_width)
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        network.to("meta").eval()(picture)
    return int(counter.get_total_flops()) // 2


def latencies(
    checkpoints: Sequence[Checkpoint], *, threads: int, rounds: int = ROUNDS
) -> list[tuple[float, ...]]:
    """Measure each network's milliseconds per crop for each of `KINDS`: the best of all rounds.

    The networks take turns, so that other load on the machine affects all of them alike. NaN if a
    backend does not work on this machine.
    """
    from rtseg.backends import Backend, open_backend
    from rtseg.export.onnx import write_onnx

    rng = np.random.default_rng(0)
    smallest = np.full((len(checkpoints), len(KINDS)), np.inf)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        opened: list[tuple[int, int, Backend]] = []
        for row, checkpoint in enumerate(checkpoints):
            path = folder / f"{row}.safetensors"
            write_checkpoint(checkpoint, path, half=True)
            write_onnx(read_checkpoint(path), path.with_suffix(".onnx"))
            for column, (name, precision) in enumerate(KINDS):
                try:
                    backend = open_backend(
                        name, model=path, device="cpu", precision=precision, threads=threads
                    )
                except BackendError:
                    smallest[row, column] = np.nan
                    continue
                opened.append((row, column, stack.enter_context(backend)))
        spec = checkpoints[0].spec
        crops = rng.integers(0, 256, (1, spec.input_height, spec.input_width, 3), np.uint8)
        for _ in range(rounds + 5):
            for row, column, backend in opened:
                start = time.perf_counter()
                backend.infer(crops)
                milliseconds = 1000 * (time.perf_counter() - start)
                smallest[row, column] = min(smallest[row, column], milliseconds)
    return [tuple(row) for row in smallest]


def report(outcomes: Sequence[Outcome], out: Path, threads: int) -> str:
    """Make the table, and plot accuracy over milliseconds in `architectures.png`."""
    large = [
        dataclasses.replace(
            o.checkpoint,
            spec=dataclasses.replace(
                o.checkpoint.spec, input_height=TIMED_SIZE, input_width=TIMED_SIZE
            ),
        )
        for o in outcomes
    ]
    times = latencies(large, threads=threads)
    ids = range(len(HELEN))
    rows, points = [], []
    for outcome, checkpoint, milliseconds in zip(outcomes, large, times, strict=True):
        matrix = outcome.matrices[SPLIT]
        overall = f1_of(matrix, HELEN.groups["parts"])
        rows.append(
            [
                outcome.trial.cells["network"],
                f"{checkpoint.parameter_count / 1e6:.2f}",
                f"{multiplications(checkpoint) / 1e9:.2f}",
                *(f"{value:.1f}" for value in milliseconds),
                share(overall),
                share(mean_of([iou_of(matrix, [i]) for i in ids])),
                f"{outcome.loss[1]:.3f}",
            ]
        )
        points.append((outcome.trial.cells["network"], milliseconds, overall))
    draw(points, out / "architectures.png")
    named = [f"{name} {precision}, ms" for name, precision in KINDS]
    headings = ["network", "M parameters", f"GMAC at {TIMED_SIZE}", *named]
    headings += ["overall F1", "mean IoU", "loss"]
    timing = (
        f"\nMilliseconds: one {TIMED_SIZE}x{TIMED_SIZE} crop, the smallest of {ROUNDS} taken in "
        f"turns, {threads} threads (0: one a core).\n"
    )
    return table(headings, rows) + timing


def draw(points: Sequence[tuple[str, tuple[float, ...], float]], path: Path) -> None:
    """Plot accuracy over milliseconds, one panel per backend."""
    sheet = figure(11, 4.2)
    panels = sheet.subplots(1, len(KINDS), sharey=True)
    for column, (axes, kind) in enumerate(zip(panels, KINDS, strict=True)):
        for name, milliseconds, overall in points:
            axes.plot(milliseconds[column], overall, "o")
            axes.annotate(
                name, (milliseconds[column], overall), xytext=(5, 3), textcoords="offset points"
            )
        axes.set_xlabel(f"{' '.join(kind)}, ms a crop")
        axes.margins(x=0.35, y=0.15)
        axes.set_xlim(left=0)
        axes.grid(visible=True, alpha=0.3)
    panels[0].set_ylabel("overall F1")
    sheet.savefig(path)


STUDY = Study(
    name="architectures",
    question="Which network? Accuracy against milliseconds, Helen* val",
    budget=(
        f"whole pictures at {SIZE}x{SIZE}, 2 epochs of 1,699, batch 16, AdamW with one-cycle 2e-3, "
        "averaged, cross-entropy + Dice, mirrored, bf16, no pretrained weights"
    ),
    trials=tuple(_trial(name) for name in NETWORKS),
    splits=(SPLIT,),
    report=report,
)

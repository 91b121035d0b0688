"""Show a run's events in TensorBoard, as a progress bar or as plain lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Event = Mapping[str, Any]


class TensorBoardLog:
    """Writes scalars for TensorBoard into a folder; does nothing if it is not installed."""

    def __init__(self, folder: Path) -> None:
        self.writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self.writer = SummaryWriter(str(folder))

    def __call__(self, event: Event) -> None:
        """Write an event's scalars."""
        if self.writer is None:
            return
        step = event["step"]
        if event["event"] == "step":
            self.writer.add_scalar("loss", event["loss"], step)
            self.writer.add_scalar("learning rate", event["learning_rate"], step)
        elif event["event"] in ("evaluation", "end"):
            self.writer.add_scalar("mean IoU", event["mean_iou"], step)
            for name, value in figures_of(event).items():
                self.writer.add_scalar(f"F1/{name}", value, step)

    def close(self) -> None:
        """Write buffered values."""
        if self.writer is not None:
            self.writer.close()


def figures_of(event: Mapping[str, Any]) -> Mapping[str, float]:
    """An evaluation's metrics by name: F1 by class, or a recipe's own metrics."""
    figures = event["f1"] if "f1" in event else event["figures"]
    return {name: value for name, value in figures.items() if value is not None}


class Progress:
    """Shows a bar with loss and learning rate on a terminal, plain lines elsewhere.

    Args:
        plain: prints one line.
        terminal: whether to draw a bar; by default if standard output is a terminal.
    """

    def __init__(self, plain: Callable[[str], None], *, terminal: bool | None = None) -> None:
        self.plain = plain
        self.bar: Any = None
        if sys.stdout.isatty() if terminal is None else terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self.bar = Progress(
                TextColumn("step {task.fields[step]}"),
                BarColumn(),
                TextColumn("{task.percentage:>5.1f}%"),
                TextColumn("loss {task.fields[loss]:.4f}  rate {task.fields[rate]:.2e}"),
                TimeRemainingColumn(),
            )
            self.task = self.bar.add_task("fit", total=1.0, step=0, loss=float("nan"), rate=0.0)
            self.bar.start()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if event["event"] == "step" and self.bar is not None:
            self.bar.update(
                self.task,
                completed=event["progress"],
                step=event["step"],
                loss=event["loss"],
                rate=event["learning_rate"],
            )
        else:
            print_line = self.plain if self.bar is None else self.bar.console.print
            print_line(described(event))

    def close(self) -> None:
        """Restore the terminal."""
        if self.bar is not None:
            self.bar.stop()


def described(event: Event) -> str:
    """Describe an event in one line."""
    match event["event"]:
        case "step":
            of = f"/{event['of']}" if event["of"] else ""
            return (
                f"step {event['step']}{of}  {100 * event['progress']:.1f}%  "
                f"loss {event['loss']:.4f}  rate {event['learning_rate']:.2e}  "
                f"{event['seconds']:.0f} s"
            )
        case "broken":
            return f"skipped at step {event['step']}: {event['message']}"
        case _:
            table = "  ".join(f"{name} {value:.3f}" for name, value in figures_of(event).items())
            skipped = f"  ({event['broken']} broken pictures skipped)" if event["broken"] else ""
            return (
                f"{event['event']} at step {event['step']}: mean IoU {event['mean_iou']:.4f}  "
                f"F1 {table}{skipped}"
            )

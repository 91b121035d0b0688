"""`rtseg models`: list models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtseg.checkpoint import ModelSpec

if TYPE_CHECKING:
    from rich.console import Console

_SEES = {
    "face": "crops around faces",
    "frame": "whole frames",
    "finder": "whole frames and parts of them, in which it finds faces",
}


@click.command(short_help="List models.")
@click.argument("paths", nargs=-1, metavar="[MODEL]…")
def command(paths: tuple[str, ...]) -> None:
    """List the built-in models, or the given model files or folders, with classes, colours,
    accuracy, size and terms."""
    from rich.console import Console

    from rtseg.checkpoint import read_spec
    from rtseg.weights import default_checkpoint_path, finder_checkpoint_path

    console = Console(highlight=False)
    if not paths:
        _show(console, "face-parts (built in, the default)", read_spec(default_checkpoint_path()))
        finder = finder_checkpoint_path()
        if finder is not None:
            _show(console, "face-finder (built in, finds the faces)", read_spec(finder))
        console.print("To use another model: [bold]--model FILE.safetensors[/], made by training/.")
    for path in paths:
        files = sorted(Path(path).glob("*.safetensors")) if Path(path).is_dir() else [Path(path)]
        for file in files:
            _show(console, str(file), read_spec(file))


def _show(console: Console, title: str, model: ModelSpec) -> None:
    from rich.markup import escape

    console.print(f"[bold]{escape(title)}[/]")
    console.print(
        f"  {model.architecture}, {model.input_width}x{model.input_height} pixels, "
        f"{_SEES[model.view]}"
    )
    if model.view != "finder":  # whose classes are bins of numbers
        _show_classes(console, model)
    for key in ("data", "date", "command", "training_command", "split", "parameters"):
        value = model.provenance.get(key, model.accuracy.get(key))
        if value:
            console.print(f"  {key.replace('_', ' ')}: {escape(str(value))}")
    if model.terms:
        console.print(f"  terms: {escape(model.terms)}")


def _show_classes(console: Console, model: ModelSpec) -> None:
    from rich.table import Table
    from rich.text import Text

    scores = model.accuracy.get("f1", {})
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  id", justify="right")
    table.add_column("class")
    table.add_column("colour")
    if scores:
        table.add_column("F1", justify="right")
    for label_id, name in enumerate(model.label_set.names):
        red, green, blue = model.label_set.colours[label_id]
        code = f"#{red:02x}{green:02x}{blue:02x}"
        score = [_score(scores.get(name))] if scores else []
        table.add_row(str(label_id), name, Text.assemble(("██ ", code), code), *score)
    console.print(table)
    merged = {name: scores[name] for name in (*model.label_set.groups, "overall") if name in scores}
    if merged:
        line = ", ".join(f"{name} {_score(value)}" for name, value in merged.items())
        console.print(f"  together: {line}")


def _score(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "-"

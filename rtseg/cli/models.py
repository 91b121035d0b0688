"""`rtseg models`: list models."""

from __future__ import annotations

from pathlib import Path

import click

from rtseg.checkpoint import ModelSpec


@click.command(short_help="List models.")
@click.argument("paths", nargs=-1, metavar="[MODEL]…")
def command(paths: tuple[str, ...]) -> None:
    """List the built-in model, or the given model files or folders, with classes, colours,
    accuracy, size and terms."""
    from rich.console import Console

    from rtseg.checkpoint import read_spec
    from rtseg.weights import default_checkpoint_path

    console = Console(highlight=False)
    if not paths:
        _show(console, "face-parts (built in, the default)", read_spec(default_checkpoint_path()))
        console.print("To use another model: [bold]--model FILE.safetensors[/], made by training/.")
    for path in paths:
        files = sorted(Path(path).glob("*.safetensors")) if Path(path).is_dir() else [Path(path)]
        for file in files:
            _show(console, str(file), read_spec(file))


def _show(console: object, title: str, model: ModelSpec) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    assert isinstance(console, Console)
    console.print(f"[bold]{escape(title)}[/]")
    console.print(
        f"  {model.architecture}, {model.input_width}x{model.input_height} pixels, "
        f"{'crops around faces' if model.view == 'face' else 'whole frames'}"
    )
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
    for key in ("data", "date", "command", "training_command", "split", "parameters"):
        value = model.provenance.get(key, model.accuracy.get(key))
        if value:
            console.print(f"  {key.replace('_', ' ')}: {escape(str(value))}")
    if model.terms:
        console.print(f"  terms: {escape(model.terms)}")


def _score(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "-"

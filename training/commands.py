"""The commands of `python -m training`."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from rtseg.errors import SettingError, SinkError
from training.recipes import RECIPES, recipe_of

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="RTSEG_DATA",
    required=True,
    metavar="DIR",
    help="Folder of the data sets; also taken from $RTSEG_DATA.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """From data sets to checkpoints that rtseg runs."""


@main.command("list")
def list_command() -> None:
    """Every recipe."""
    for recipe in RECIPES.values():
        click.echo(f"{recipe.name:24} {recipe.summary}")


@main.command("show")
@click.argument("recipe")
def show_command(recipe: str) -> None:
    """What RECIPE is made of, and every setting that --set changes."""
    chosen = recipe_of(recipe)
    click.echo(f"{chosen.name}: {chosen.summary}")
    for name in ("architecture", "input_height", "input_width", "fit", "view", "stride"):
        click.echo(f"  {name:16} {getattr(chosen, name)}")
    click.echo(f"  {'options':16} {dict(chosen.options)}")
    click.echo(f"  {'classes':16} {', '.join(chosen.label_set.names)}")
    click.echo("settings:")
    for name, value in dataclasses.asdict(chosen.settings).items():
        click.echo(f"  {name:16} {value}")
    click.echo(f"terms: {chosen.terms}")


@main.command("check")
@click.argument("recipe")
@DATA
def check_command(recipe: str, data: Path) -> None:
    """Walk the data that RECIPE uses; exit code 3 where something is missing or broken."""
    from training.check import check

    broken = 0
    for name, pictures in recipe_of(recipe).downloads(data).items():
        found = check(pictures)
        broken += len(found.broken)
        click.echo(f"{name}: {found.readable} of {found.count} readable")
        for line in found.broken[:20]:
            click.echo(f"  broken: {line}")
        for first, second in found.duplicates:
            click.echo(f"  the same picture twice: {first}, {second}")
        if found.shares:
            shares = ", ".join(f"{name} {share}%" for name, share in found.shares.items())
            click.echo(f"  pixels: {shares}")
    click.echo(f"terms: {recipe_of(recipe).terms}")
    if broken:
        sys.exit(3)


@main.command("fit")
@click.argument("recipe")
@DATA
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Go on from the folder's saved state.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a setting.")
@click.option("--device", default="cpu", show_default=True, help="A device of PyTorch.")
def fit_command(
    recipe: str, data: Path, out: Path, resume: bool, changes: tuple[str, ...], device: str
) -> None:
    """Train RECIPE and write OUT/model.safetensors."""
    from training.loop import fit

    chosen = recipe_of(recipe)
    words = ["python", "-m", "training", "fit", recipe, "--data", "DIR", "--out", "RUN"]
    for change in changes:
        words += ["--set", change]
    path = fit(
        chosen,
        data=data,
        out=out,
        settings=chosen.settings.changed(changes),
        command=shlex.join(words),
        resume=resume,
        device=device,
        report=_print_event,
    )
    click.echo(f"wrote {path}")


@main.command("evaluate")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@DATA
@click.option("--recipe", help="Whose data and splits [default: the checkpoint's own].")
@click.option("--split", help="Which split [default: the recipe's first].")
@click.option("--composites", is_flag=True, help="Also measure composed frames, and empty ones.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--write", is_flag=True, help="Put the figures into the checkpoint's header.")
def evaluate_command(
    checkpoint: Path,
    data: Path,
    recipe: str | None,
    split: str | None,
    composites: bool,
    as_json: bool,
    write: bool,
) -> None:
    """Measure CHECKPOINT: one pass, argmax of the upsampled logits, one confusion matrix."""
    from rtseg.checkpoint import read_checkpoint, write_checkpoint
    from training.evaluate import Predictor, evaluate
    from training.metrics import f1_table, pixel_accuracy, pixel_counts
    from training.robustness import measure

    model = read_checkpoint(checkpoint)
    chosen = recipe_of(recipe or str(model.provenance.get("recipe", "")))
    wanted = split or chosen.splits[0]
    if wanted not in chosen.splits:
        raise SettingError(f"unknown split {wanted!r}; allowed: {', '.join(chosen.splits)}")
    predictor = Predictor.of_checkpoint(model)
    size = (model.input_height, model.input_width)
    matrix = evaluate(predictor, chosen.evaluation(data, wanted), size=size)
    result: dict[str, Any] = {
        "split": wanted,
        "size": f"{size[1]}x{size[0]}",
        "pixel_accuracy": round(pixel_accuracy(matrix), 4),
        "f1": f1_table(matrix, model.label_set),
        "pixels": pixel_counts(matrix, model.label_set),
    }
    if composites:
        result["composites"] = measure(predictor, data)
    if write:
        write_checkpoint(dataclasses.replace(model, accuracy=result), checkpoint)
    if as_json:
        click.echo(json.dumps(result))
    else:
        _print_result(result, chosen.published)


@main.command("predict")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder.")
def predict_command(checkpoint: Path, images: tuple[Path, ...], out: Path) -> None:
    """Write NAME.png, 8-bit label ids, for each of IMAGES into the folder."""
    import cv2

    from rtseg.checkpoint import read_checkpoint
    from training.datasets.base import read_image
    from training.evaluate import Predictor

    predictor = Predictor.of_checkpoint(read_checkpoint(checkpoint))
    out.mkdir(parents=True, exist_ok=True)
    for path in images:
        (labels,) = predictor([read_image(path)])
        target = out / f"{path.stem}.png"
        if not cv2.imwrite(str(target), labels):
            raise SinkError(f"{target}: cannot be written")
        click.echo(f"wrote {target}")


def _print_event(event: Mapping[str, Any]) -> None:
    if event["event"] == "step":
        of = f"/{event['of']}" if event["of"] else ""
        click.echo(
            f"step {event['step']}{of}  {100 * event['progress']:.1f}%  "
            f"loss {event['loss']:.4f}  rate {event['learning_rate']:.2e}  {event['seconds']:.0f} s"
        )
    else:
        table = "  ".join(f"{name} {value:.3f}" for name, value in event["f1"].items())
        click.echo(f"{event['event']} at step {event['step']}: F1 {table}")
    sys.stdout.flush()


def _print_result(result: Mapping[str, Any], published: Mapping[str, float]) -> None:
    click.echo(f"split {result['split']} at {result['size']}, ", nl=False)
    click.echo(f"pixel accuracy {result['pixel_accuracy']:.4f}\n")
    click.echo("| class | F1 | published |\n| --- | --- | --- |")
    for name, value in result["f1"].items():
        beside = f"{published[name]:.4f}" if name in published else ""
        click.echo(f"| {name} | {value:.4f} | {beside} |")
    composites = result.get("composites")
    if not composites:
        return
    for view in ("frame", "crop"):
        click.echo(f"\n| head height ({view}) | parts | face | hair | found |")
        click.echo("| --- | --- | --- | --- | --- |")
        for height, scores in composites[view].items():
            click.echo(
                f"| {height} | {scores['parts']:.3f} | {scores['face']:.3f} | "
                f"{scores['hair']:.3f} | {scores['found']:.2f} |"
            )
    for view, painted in composites["empty"].items():
        click.echo(f"\nwithout a face, {view}: percent of pixels labelled: {painted}")

"""The commands of `python -m training`."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from rtseg.errors import SettingError
from training.distributed import joined, launch
from training.model_commands import COMMANDS, DATA
from training.recipes import RECIPES, recipe_of


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Train checkpoints for rtseg from data sets."""


@main.command("list")
def list_command() -> None:
    """List all recipes."""
    for recipe in RECIPES.values():
        click.echo(f"{recipe.name:24} {recipe.summary}")


@main.command("show")
@click.argument("recipe")
def show_command(recipe: str) -> None:
    """Show RECIPE's specification and every setting that --set can change."""
    chosen = recipe_of(recipe)
    click.echo(f"{chosen.name}: {chosen.summary}")
    for name in ("architecture", "input_height", "input_width", "fit", "view", "stride"):
        click.echo(f"  {name:16} {getattr(chosen.spec, name)}")
    click.echo(f"  {'options':16} {dict(chosen.spec.options)}")
    click.echo(f"  {'classes':16} {', '.join(chosen.spec.label_set.names)}")
    if chosen.first is not None:
        click.echo(f"  {'starts from':16} {chosen.first.name}")
    if chosen.answers is not None:
        click.echo(f"  {'answers from':16} {chosen.answers.name}")
    if chosen.teachers:
        click.echo(f"  {'teachers':16} {', '.join(one.name for one in chosen.teachers)}")
    click.echo("settings:")
    for field in dataclasses.fields(chosen.settings):
        value = getattr(chosen.settings, field.name)
        click.echo(f"  {field.name:16} {value!s:34} {field.metadata['help']}")
    click.echo("published:")
    for name, value in chosen.published.items():
        click.echo(f"  {name:16} {value}")
    for note in chosen.notes:
        click.echo(f"note: {note}")
    click.echo(f"terms: {chosen.spec.terms}")


@main.command("check")
@click.argument("recipe")
@DATA
def check_command(recipe: str, data: Path) -> None:
    """Check the data that RECIPE uses; the exit code is 3 if anything is missing or broken."""
    from training.data.check import check

    broken = 0
    earlier: dict[bytes, str] = {}
    for name, pictures in recipe_of(recipe).downloads(data).items():
        findings = check(pictures, split=name, earlier=earlier)
        broken += len(findings.broken)
        click.echo(f"{name}: {findings.readable} of {findings.count} readable, ", nl=False)
        click.echo(f"{len(findings.missing)} files missing")
        _listed("missing", findings.missing)
        _listed("unexpected", findings.unexpected)
        _listed("broken", findings.broken)
        _listed("identical pictures", [f"{a}, {b}" for a, b in findings.duplicates])
        _listed("also in another split", [f"{b} is {a}" for a, b in findings.shared])
        if findings.shares:
            shares = ", ".join(f"{name} {share}%" for name, share in findings.shares.items())
            click.echo(f"  pixels: {shares}")
    click.echo(f"terms: {recipe_of(recipe).spec.terms}")
    if broken:
        sys.exit(3)


def _listed(what: str, lines: Sequence[str], *, at_most: int = 20) -> None:
    for line in lines[:at_most]:
        click.echo(f"  {what}: {line}")
    if len(lines) > at_most:
        click.echo(f"  ... and {len(lines) - at_most} more")


@main.command("fit")
@click.argument("recipe")
@DATA
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Resume from the folder's saved state.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a setting.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=JSON",
    help="Change an option of the network, such as width=16.",
)
@click.option(
    "--encoder-weights",
    type=click.Choice(["imagenet", "none"]),
    help="The encoder's initial weights [default: the recipe's].",
)
@click.option("--skip-broken", is_flag=True, help="Skip and count broken pictures.")
@click.option("--device", default="cpu", show_default=True, help="The PyTorch device.")
@click.option(
    "--processes", default=1, show_default=True, help="Number of processes on this machine."
)
def fit_command(
    recipe: str,
    data: Path,
    out: Path,
    resume: bool,
    changes: tuple[str, ...],
    options: tuple[str, ...],
    encoder_weights: str | None,
    skip_broken: bool,
    device: str,
    processes: int,
) -> None:
    """Train RECIPE, writing OUT/model.safetensors and a report of the run.

    A recipe that starts from another recipe's weights runs that first, in OUT/ITS-NAME, unless
    `--set start_from=MODEL` is given, and likewise those whose networks decide what its pictures
    show, unless `--set answers_from=MODEL` is, and those whose opinion it learns, unless `--set
    teachers_from=MODEL,MODEL` is; other changed settings apply to all of them.

    Under torchrun (`torchrun --nproc-per-node 4 -m training fit ...`) the same command trains in
    several processes, on one machine or several.
    """
    if encoder_weights:
        changes = (*changes, f"encoder_weights={encoder_weights}")
    if skip_broken:
        changes = (*changes, "skip_broken=true")
    chosen = recipe_of(recipe).with_options(options)
    settings = chosen.settings.changed(changes)
    if processes > 1:
        launch(processes, _without_processes(sys.argv[1:]))
        return
    from training.fit_command import fit_chain

    with joined(device) as group:
        fit_chain(
            chosen,
            data=data,
            out=out,
            settings=settings,
            changes=changes,
            command=lambda one: _typed(one.name, changes, options if one is chosen else ()),
            resume=resume,
            group=group,
        )


def _typed(recipe: str, changes: Sequence[str], options: Sequence[str]) -> str:
    """The command to repeat a run, without the folders of this machine."""
    words = ["python", "-m", "training", "fit", recipe, "--data", "DIR", "--out", "RUN"]
    for change in changes:
        name, _, values = change.partition("=")
        named = [Path(one).name if Path(one).is_absolute() else one for one in values.split(",")]
        words += ["--set", f"{name}={','.join(named)}"]
    for option in options:
        words += ["--option", option]
    return shlex.join(words)


def _without_processes(arguments: Sequence[str]) -> list[str]:
    """The command line without --processes."""
    remaining: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--processes":
            next(words, None)
        elif not word.startswith("--processes="):
            remaining.append(word)
    return remaining


@main.command("quantize")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="RTSEG_DATA",
    metavar="DIR",
    help="Folder of the data sets, for the recipe's views and labels; also from $RTSEG_DATA.",
)
@click.option("--recipe", help="The recipe for views and splits [default: the checkpoint's].")
@click.option(
    "--pictures",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Calibrate on these pictures instead of the recipe's views.",
)
@click.option("--count", default=300, show_default=True, help="Number of calibration pictures.")
@click.option("--seed", default=0, show_default=True, help="Seed for selecting them.")
@click.option("--split", help="Split to measure on [default: the recipe's first].")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Output file [default: beside the model].",
)
def quantize_command(
    checkpoint: Path,
    data: Path | None,
    recipe: str | None,
    folder: Path | None,
    count: int,
    seed: int,
    split: str | None,
    output: Path | None,
) -> None:
    """Make CHECKPOINT's INT8 model, NAME.int8.onnx, and compare it with FP32.

    `rtseg` uses it automatically if 99.5% of the labels equal FP32's, the mean F1 is at most .003
    lower, and it is faster. A model made from pictures without labels (--pictures without --data)
    is used with --precision int8 only.
    """
    from rtseg.checkpoint import read_checkpoint
    from training.quantize import folder_crops, quantize_checkpoint, recipe_crops, table

    if data is None and folder is None:
        raise SettingError(
            "--data: needed for the recipe's views; alternatively, give --pictures FOLDER"
        )
    model = read_checkpoint(checkpoint)
    dataset, name = None, ""
    if data is not None:
        chosen = recipe_of(recipe or str(model.spec.provenance.get("recipe", "")))
        name = split or chosen.splits[0]
        if name not in chosen.splits:
            raise SettingError(f"unknown split {name!r}; allowed: {', '.join(chosen.splits)}")
        if chosen.spec.label_set.names != model.spec.label_set.names:
            raise SettingError(
                f"{checkpoint}: has the classes of {model.spec.label_set.name}; recipe "
                f"{chosen.name} labels those of {chosen.spec.label_set.name}: give --recipe, or "
                "--pictures alone"
            )
        dataset = chosen.evaluation(data, name)
    if folder is not None:
        crops = folder_crops(folder, model, count=count, seed=seed)
    else:
        assert data is not None
        crops = recipe_crops(chosen, data, model, count=count, seed=seed)
    quantized = quantize_checkpoint(
        checkpoint,
        crops,
        seed=seed,
        dataset=dataset,
        name=name,
        output=output,
        say=lambda what: click.echo(what, err=True),
    )
    if quantized.fp32 is not None:
        click.echo(table(quantized, model))
    quantization = quantized.quantization
    if (
        quantization.agreement is not None
        and quantization.f1 is not None
        and quantization.f1_fp32 is not None
    ):
        verdict = "`auto` may take it" if quantization.is_faithful else "`auto` does not take it"
        click.echo(
            f"{quantization.agreement:.2%} of the labels equal FP32's; "
            f"mean F1 {quantization.f1:.4f}, FP32 {quantization.f1_fp32:.4f}: {verdict}"
        )
    click.echo(f"wrote {quantized.path}")


@main.command("study")
@click.argument("name")
@DATA
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the runs and the table.")
@click.option("--list", "only_list", is_flag=True, help="Print what would run, and exit.")
@click.option(
    "--threads", default=1, show_default=True, help="Processor threads; 0 means one per core."
)
def study_command(name: str, data: Path, out: Path | None, only_list: bool, threads: int) -> None:
    """Compare runs: losses, augmentation or architectures; OUT/NAME.md is the table.

    Finished runs are kept, and an interrupted one is resumed.
    """
    from training.evaluation.report import require_matplotlib
    from training.studies import study_of
    from training.studies.study import run_study

    study = study_of(name)
    if only_list:
        click.echo(f"{study.question}\n{study.budget}")
        for trial in study.trials:
            click.echo(f"  {trial.name}")
        return
    if out is None:
        raise SettingError("--out: a study needs a folder for its runs")
    require_matplotlib()
    path = run_study(study, data=data, out=out, threads=threads, say=click.echo)
    click.echo(f"\n{path.read_text('utf-8')}\nwrote {path}")


for _command in COMMANDS:
    main.add_command(_command)

"""`rtseg engine`: TensorRT engines, and the exported models that they are built from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from rtseg.backends.tensorrt.manifest import manifest_path
from rtseg.cli.progress import reporting_phases, set_up_logging
from rtseg.errors import BackendError, SettingError, listed
from rtseg.export import OnnxPrecision
from rtseg.settings import device_index, device_kind
from rtseg.system.files import file_id

if TYPE_CHECKING:
    from rtseg.backends.tensorrt import Engine
    from rtseg.export import OnnxModel

BUILT_IN = "face-parts"


@click.group(short_help="Build, list, verify and delete TensorRT engines; export models.")
def command() -> None:
    """TensorRT engines: an NVIDIA GPU runs a model through one several times as fast.

    An engine is built once for a model, a GPU and a TensorRT version, from the model's ONNX file.

    \b
    rtseg engine build
    rtseg engine export model.safetensors && rtseg engine build model.onnx
    """


@command.command(short_help="Build the engine of a model or recipe.")
@click.argument("what", default=BUILT_IN, metavar="[MODEL|RECIPE]")
@click.option("--rebuild", is_flag=True, help="Build it anew even if it is there and in order.")
@click.option(
    "--for",
    "architectures",
    metavar="SM,SM,…",
    help="Build for GPUs of these architectures instead, as sm86,sm89,sm120: by TensorRT-RTX, on "
    "any machine, without a GPU.",
)
@click.option("--device", default="cuda", show_default=True, help="Which GPU: cuda or cuda:N.")
@click.option("-v", "--verbose", is_flag=True, help="Show TensorRT's own messages.")
def build(what: str, rebuild: bool, architectures: str | None, device: str, verbose: bool) -> None:
    """Build an engine for this machine's GPU, and compare it with FP32.

    MODEL is a .safetensors file with its .onnx beside it, or an .onnx file; RECIPE is one of the
    shipped recipes or a .toml file. Without either: the built-in model.
    """
    from rtseg.backends.tensorrt import find_engine, other_machines, read_recipe, this_machine
    from rtseg.backends.tensorrt.loading import build_engine, in_precision

    set_up_logging(verbose=verbose, quiet=False)
    recipe = read_recipe(what)
    exported, weights = find_exported(recipe.model, int8=recipe.precision == "int8")
    if architectures is None:
        target = this_machine(_gpu_index(device))
    else:
        target = other_machines(tuple(name.strip() for name in architectures.split(",")))
    there = find_engine(in_precision(exported, recipe), recipe, target)
    with reporting_phases(f"building {recipe.name}") as on_progress:
        engine = build_engine(
            exported,
            recipe,
            target,
            weights=weights,
            on_progress=on_progress,
            replacing=there if rebuild else None,
        )
    manifest = engine.manifest
    if there is not None and there.manifest.sha256 == manifest.sha256:
        click.echo(f"already built, {manifest.built}: {engine.path}")
        return
    agreement = (
        "not compared with FP32"
        if manifest.agreement is None
        else f"{manifest.agreement:.2%} of labels as in FP32"
    )
    click.echo(
        f"built in {manifest.build_seconds:.0f} s by {manifest.library} for {manifest.target}: "
        f"{engine.path} ({manifest.precision}, {agreement})"
    )
    if architectures is not None:
        click.echo(
            f"elsewhere: put it and {manifest_path(engine.path).name} into that machine's folder "
            "of engines (`rtseg engine list` names it)"
        )


@command.command("list", short_help="List the recipes and the engines that are built.")
def list_() -> None:
    """List the shipped recipes, and every engine that is kept here."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from rtseg.backends.tensorrt import engine_folder, list_engines, shipped_recipes

    console = Console(highlight=False)
    console.print("[bold]recipes[/]")
    for recipe in shipped_recipes().values():
        console.print(
            f"  {recipe.name}: {recipe.model}, {recipe.precision}, "
            f"batches of 1 to {recipe.largest_batch}"
        )
    engines = list_engines()
    console.print(f"[bold]built engines[/] in {escape(str(engine_folder()))}")
    if not engines:
        console.print("  none yet: `rtseg engine build` makes one")
        return
    table = Table(box=None, pad_edge=True)
    for title in ("name", "precision", "for", "by", "as FP32", "built", "seconds", "MB"):
        table.add_column(title)
    for engine in engines:
        manifest = engine.manifest
        table.add_row(
            escape(manifest.name),
            manifest.precision,
            escape(manifest.target),
            manifest.library,
            "-" if manifest.agreement is None else f"{manifest.agreement:.2%}",
            manifest.built,
            f"{manifest.build_seconds:.0f}",
            f"{engine.path.stat().st_size / 1e6:.1f}",
        )
    console.print(table)


@command.command(short_help="Show what the engines are made of.")
@click.option("--json", "as_json", is_flag=True, help="Every layer, as JSON.")
def inspect(as_json: bool) -> None:
    """Show how many layers of which kind each engine has, and what they compute in, as the
    builder reported them. Needs no GPU."""
    import json
    from collections import Counter

    from rtseg.backends.tensorrt import list_engines
    from rtseg.backends.tensorrt.inspection import read_layers

    set_up_logging(verbose=False, quiet=False)
    engines = list_engines()
    layers = {engine.path.name: read_layers(engine) for engine in engines}
    if as_json:
        report = {name: [layer.to_json() for layer in found] for name, found in layers.items()}
        click.echo(json.dumps(report, indent=2))
        return
    for engine in engines:
        found, manifest = layers[engine.path.name], engine.manifest
        click.echo(
            f"{engine.path.name}: {manifest.precision}, batches of 1 to {manifest.largest_batch}, "
            f"{engine.path.stat().st_size / 1e6:.1f} MB, by {manifest.library} for "
            f"{manifest.target}"
        )
        for (kind, reads), count in Counter((one.kind, one.reads) for one in found).most_common():
            click.echo(f"  {count:5} {kind}{f' on {reads}' if reads else ''}")
        if not found:
            click.echo("  its builder reported no layers")
    if not engines:
        click.echo("no engine is built")


@command.command(short_help="Check every engine that is built.")
@click.option("--device", default="cuda", show_default=True, help="Which GPU: cuda or cuda:N.")
def verify(device: str) -> None:
    """Check that each engine is what was built (SHA-256), was built for this GPU and TensorRT, and
    loads. Exit code 7 if one does not; where TensorRT cannot run, only the files are checked."""
    from rtseg.backends.tensorrt import list_engines

    set_up_logging(verbose=False, quiet=False)
    index = _gpu_index(device)
    engines = list_engines()
    bad = 0
    for engine in engines:
        problem = _problem(engine, index)
        bad += problem is not None
        click.echo(f"{engine.path.name}: {problem or 'in order'}")
    if bad:
        raise BackendError(
            f"{bad} of {len(engines)} engines cannot be used here; "
            "`rtseg engine clean --stale` deletes them, `rtseg engine build` makes new ones"
        )
    click.echo(f"{len(engines)} engines, all in order" if engines else "no engine is built")


@command.command(short_help="Delete built engines.")
@click.option("--stale", is_flag=True, help="Only those that cannot be used on this machine.")
def clean(stale: bool) -> None:
    """Delete the engines that rtseg built, their manifests, and what builds left behind."""
    from rtseg.backends.tensorrt import list_engines, remove_engines

    keep = tuple(
        engine.path for engine in (list_engines() if stale else ()) if not _problem(engine)
    )
    gone = remove_engines(keep=keep)
    click.echo(f"deleted {len(gone)} files" if gone else "nothing to delete")


@command.command(short_help="Export a model to ONNX.")
@click.argument("model", default=BUILT_IN, metavar="[MODEL]")
@click.option("-o", "--output", metavar="FILE", help="Where to; beside the model if not given.")
@click.option(
    "--precision",
    type=click.Choice(get_args(OnnxPrecision)),
    default="fp16",
    show_default=True,
    help="What the network computes in; engines are built in the precision of their file.",
)
def export(model: str, output: str | None, precision: OnnxPrecision) -> None:
    """Export MODEL (a .safetensors file, or the built-in one) to one ONNX file: uint8 crops in;
    probabilities at the network's stride and label ids at the crop's size out."""
    from rtseg.checkpoint import read_checkpoint
    from rtseg.export.onnx import write_onnx
    from rtseg.weights import default_checkpoint_path

    source = default_checkpoint_path() if model == BUILT_IN else Path(model)
    target = Path(output) if output is not None else source.with_suffix(".onnx")
    if target.suffix != ".onnx":
        raise SettingError(f"-o {target}: an exported model is named *.onnx")
    if file_id(source) is not None and file_id(target) == file_id(source):
        raise SettingError(f"-o {target}: is the model itself; give another name")
    write_onnx(read_checkpoint(source), target, precision=precision)
    click.echo(f"wrote {target} ({precision}, {target.stat().st_size / 1e6:.1f} MB)")


def find_exported(model: str, *, int8: bool = False) -> tuple[OnnxModel, Path | None]:
    """The exported form of a model, or its INT8 form, and the weights that it was made from, where
    they are at hand.

    Raises:
        SettingError: the name is no model's.
        ModelError: it is missing, damaged, or was not exported.
    """
    from rtseg.export import find_onnx, read_onnx
    from rtseg.weights import default_checkpoint_path

    if model == BUILT_IN:
        path = default_checkpoint_path()
        return find_onnx(path, int8=int8), path
    path = Path(model)
    if path.suffix == ".onnx":
        return read_onnx(path), None
    if path.suffix == ".safetensors":
        return find_onnx(path, int8=int8), path
    raise SettingError(
        f"{model!r} is no model; allowed: {listed((BUILT_IN, '*.safetensors', '*.onnx'))}"
    )


def _gpu_index(device: str) -> int:
    if device_kind(device) != "cuda":
        raise SettingError(f"--device: {device!r}: engines run on a GPU; allowed: cuda, cuda:N")
    return device_index(device)


def _problem(engine: Engine, index: int = 0) -> str | None:
    """Why an engine cannot be used on this machine; None where it can."""
    from rtseg.backends.tensorrt import StaleEngineError, this_machine
    from rtseg.backends.tensorrt.backend import TensorRtBackend
    from rtseg.system.nvidia import nvidia_driver_problem

    try:
        plan = engine.read()
    except StaleEngineError as error:
        return str(error)
    if nvidia_driver_problem() is not None:
        return None
    manifest, target = engine.manifest, this_machine(index)
    gpu, library = target.gpu, target.library
    assert gpu is not None
    fits = (
        gpu.architecture in manifest.architectures
        if manifest.architectures
        else gpu.name == manifest.gpu
    )
    if (manifest.flavour, manifest.tensorrt) != (library.flavour, library.version) or not fits:
        return (
            f"built for {manifest.target} by {manifest.library}; "
            f"here are {gpu.name} and {library.title}"
        )
    try:
        TensorRtBackend(plan, manifest, device_index=index).close()
    except BackendError as error:
        return str(error)
    return None

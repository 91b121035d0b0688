"""`rtseg engine`: manage TensorRT engines and the exported models they are built from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from rtseg.backends.tensorrt.manifest import manifest_path
from rtseg.cli.progress import reporting_phases, set_up_logging
from rtseg.errors import BackendError, SettingError, listed
from rtseg.export import OnnxPrecision
from rtseg.outputs import refuse_existing
from rtseg.settings import device_index, device_kind
from rtseg.system.files import file_id

if TYPE_CHECKING:
    from rtseg.backends.tensorrt import Engine
    from rtseg.export import OnnxModel

BUILT_IN = "face-parts"


@click.group(short_help="Build, list, verify and delete TensorRT engines; export models.")
def command() -> None:
    """Manage TensorRT engines: models compiled for one kind of NVIDIA GPU.

    An engine is built from the model's ONNX file, once for each model, GPU and TensorRT version.

    \b
    rtseg engine build
    rtseg engine export model.safetensors && rtseg engine build model.onnx
    """


@command.command(short_help="Build the engine of a model or recipe.")
@click.argument("what", default=BUILT_IN, metavar="[MODEL|RECIPE]")
@click.option("--rebuild", is_flag=True, help="Rebuild it even if a valid one exists.")
@click.option(
    "--for",
    "architectures",
    metavar="SM,SM,…",
    help="Build for GPUs of these architectures instead (sm86,sm89,sm120). Needs TensorRT-RTX, "
    "but no GPU.",
)
@click.option("--device", default="cuda", show_default=True, help="Which GPU: cuda or cuda:N.")
@click.option("-v", "--verbose", is_flag=True, help="Show TensorRT's own messages.")
def build(what: str, rebuild: bool, architectures: str | None, device: str, verbose: bool) -> None:
    """Build an engine for this machine's GPU, and compare its labels with FP32's.

    MODEL is an .onnx file, or a .safetensors file with its .onnx next to it. RECIPE is a shipped
    recipe or a .toml file. By default, the built-in model is built.
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
    existing = find_engine(in_precision(exported, recipe), recipe, target)
    with reporting_phases(f"building {recipe.name}") as on_progress:
        engine = build_engine(
            exported,
            recipe,
            target,
            weights=weights,
            on_progress=on_progress,
            replacing=existing if rebuild else None,
        )
    manifest = engine.manifest
    if existing is not None and existing.manifest.sha256 == manifest.sha256:
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
            f"for use elsewhere: put it and {manifest_path(engine.path).name} into that machine's "
            "engine folder (`rtseg engine list` prints it)"
        )


@command.command("list", short_help="List recipes and built engines.")
def list_() -> None:
    """List the shipped recipes and every built engine."""
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


@command.command(short_help="Show the engines' layers.")
@click.option("--json", "as_json", is_flag=True, help="Print every layer as JSON.")
def inspect(as_json: bool) -> None:
    """Count each engine's layers by kind and by the precision of their inputs, as reported by the
    builder. Needs no GPU."""
    import json
    from collections import Counter

    from rtseg.backends.tensorrt import list_engines
    from rtseg.backends.tensorrt.inspection import read_layers

    set_up_logging(verbose=False, quiet=False)
    engines = list_engines()
    layers = {engine.path.name: read_layers(engine) for engine in engines}
    if as_json:
        report = {
            name: [layer.to_json() for layer in of_engine] for name, of_engine in layers.items()
        }
        click.echo(json.dumps(report, indent=2))
        return
    for engine in engines:
        of_engine, manifest = layers[engine.path.name], engine.manifest
        click.echo(
            f"{engine.path.name}: {manifest.precision}, batches of 1 to {manifest.largest_batch}, "
            f"{engine.path.stat().st_size / 1e6:.1f} MB, by {manifest.library} for "
            f"{manifest.target}"
        )
        for (kind, reads), count in Counter(
            (one.kind, one.reads) for one in of_engine
        ).most_common():
            click.echo(f"  {count:5} {kind}{f' on {reads}' if reads else ''}")
        if not of_engine:
            click.echo("  its builder reported no layers")
    if not engines:
        click.echo("no engine is built")


@command.command(short_help="Check every built engine.")
@click.option("--device", default="cuda", show_default=True, help="Which GPU: cuda or cuda:N.")
def verify(device: str) -> None:
    """Check that each engine is unmodified (SHA-256), was built for this GPU and TensorRT version,
    and loads. Without a GPU, only the files are checked. The exit code is 7 if an engine fails."""
    from rtseg.backends.tensorrt import list_engines

    set_up_logging(verbose=False, quiet=False)
    index = _gpu_index(device)
    engines = list_engines()
    bad = 0
    for engine in engines:
        problem = _problem(engine, index)
        bad += problem is not None
        click.echo(f"{engine.path.name}: {problem or 'OK'}")
    if bad:
        raise BackendError(
            f"{bad} of {len(engines)} engines cannot be used here; "
            "`rtseg engine clean --stale` deletes them, `rtseg engine build` makes new ones"
        )
    click.echo(f"{len(engines)} engines, all OK" if engines else "no engine is built")


@command.command(short_help="Delete built engines.")
@click.option("--stale", is_flag=True, help="Delete only engines that this machine cannot use.")
def clean(stale: bool) -> None:
    """Delete the engines that rtseg built, with their manifests and the leftovers of builds."""
    from rtseg.backends.tensorrt import list_engines, remove_engines

    keep = tuple(
        engine.path for engine in (list_engines() if stale else ()) if not _problem(engine)
    )
    deleted = remove_engines(keep=keep)
    click.echo(f"deleted {len(deleted)} files" if deleted else "nothing to delete")


@command.command(short_help="Export a model to ONNX.")
@click.argument("model", default=BUILT_IN, metavar="[MODEL]")
@click.option(
    "-o", "--output", metavar="FILE", help="The file to write; by default next to the model."
)
@click.option(
    "--precision",
    type=click.Choice(get_args(OnnxPrecision)),
    default="fp16",
    show_default=True,
    help="The network's precision; engines built from the file have the same.",
)
@click.option("-y", "--overwrite/--no-overwrite", default=False, help="Replace an existing file.")
def export(model: str, output: str | None, precision: OnnxPrecision, overwrite: bool) -> None:
    """Export MODEL (a .safetensors file, or the built-in model) to one ONNX file that takes uint8
    crops and returns probabilities at the network's stride and label ids at the crop's size."""
    from rtseg.checkpoint import read_checkpoint
    from rtseg.export.onnx import write_onnx
    from rtseg.weights import model_path

    source = model_path(model)
    target = Path(output) if output is not None else source.with_suffix(".onnx")
    if target.suffix != ".onnx":
        raise SettingError(f"-o {target}: an exported model must be named *.onnx")
    if file_id(source) is not None and file_id(target) == file_id(source):
        raise SettingError(f"-o {target}: is the model itself; give another name")
    refuse_existing((str(target),), overwrite=overwrite)
    write_onnx(read_checkpoint(source), target, precision=precision, overwrite=overwrite)
    click.echo(f"wrote {target} ({precision}, {target.stat().st_size / 1e6:.1f} MB)")


def find_exported(model: str, *, int8: bool = False) -> tuple[OnnxModel, Path | None]:
    """Find a model's exported file, or its INT8 file, and the weights it was made from, if any.

    Raises:
        SettingError: there is no model with this name.
        ModelError: it is missing, damaged, or not exported.
    """
    from rtseg.export import find_onnx, read_onnx
    from rtseg.weights import model_path, shipped_models

    path = Path(model)
    if model in shipped_models():
        path = model_path(model)
    if path.suffix == ".onnx":
        return read_onnx(path), None
    if path.suffix == ".safetensors":
        return find_onnx(path, int8=int8), path
    allowed = (*shipped_models(), "*.safetensors", "*.onnx")
    raise SettingError(f"{model!r} is not a model; allowed: {listed(allowed)}")


def _gpu_index(device: str) -> int:
    if device_kind(device) != "cuda":
        raise SettingError(f"--device: {device!r}: engines run on a GPU; allowed: cuda, cuda:N")
    return device_index(device)


def _problem(engine: Engine, index: int = 0) -> str | None:
    """Why an engine cannot be used on this machine; None if it can."""
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

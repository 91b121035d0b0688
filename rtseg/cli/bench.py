"""`rtseg bench`: the FPS benchmarking mode."""

from __future__ import annotations

import dataclasses
import json
from typing import Literal, get_args

import click

from rtseg.cli.options import with_effects, with_settings
from rtseg.cli.progress import reporting, set_up_logging
from rtseg.errors import SettingError
from rtseg.outputs import check_outputs, refuse_existing, write_output
from rtseg.settings import BackendName, BenchSettings, FaceSettings, ModelSettings, ViewSettings

TABLE_COLUMNS = 132
"""Columns needed for the widest table."""


@click.command(short_help="Measure frames per second, latency and every stage.")
@with_settings(
    bench=BenchSettings,
    model=ModelSettings,
    faces=FaceSettings,
    view=ViewSettings,
    omit=("backend", "hud"),
)
@with_effects
@click.option(
    "--backend",
    type=click.Choice((*get_args(BackendName), "all")),
    default="auto",
    show_default=True,
    help="The backend that runs the network; all compares every one that works on this machine.",
)
@click.option(
    "--json",
    "json_path",
    metavar="FILE",
    envvar="RTSEG_BENCH_JSON",
    help="Also write the figures to a JSON file.",
)
@click.option(
    "--plot",
    "plot_path",
    metavar="FILE",
    envvar="RTSEG_BENCH_PLOT",
    help="Also draw the stages and latencies into a PNG, SVG or PDF file.",
)
@click.option("-y", "--overwrite/--no-overwrite", default=False, help="Replace existing files.")
@click.option("-v", "--verbose", is_flag=True, help="Print more.")
def command(
    bench: BenchSettings,
    model: ModelSettings,
    faces: FaceSettings,
    view: ViewSettings,
    effects: tuple[str, ...],
    backend: BackendName | Literal["all"],
    json_path: str | None,
    plot_path: str | None,
    overwrite: bool,
    verbose: bool,
) -> None:
    """Run the whole pipeline on a synthetic moving face, or on --input FILE, and print the time of
    each stage, end-to-end frames per second, latency, and the machine.

    \b
    rtseg bench
    rtseg bench --output encode --resolution 1920x1080
    rtseg bench --no-overlap --json figures.json --plot stages.png
    rtseg bench --effect lips=#b0122a --effect skin=0.5
    rtseg bench --backend all
    """
    from rich.console import Console

    from rtseg.bench.backend_report import BackendReport
    from rtseg.bench.backends import bench_backends
    from rtseg.bench.pipeline import BenchReport, run_bench
    from rtseg.bench.plot import check_plot, plot

    set_up_logging(verbose=verbose, quiet=False)
    check_outputs([bench.input or "", model.model], {"--json": json_path, "--plot": plot_path})
    refuse_existing((json_path, plot_path), overwrite=overwrite)
    if plot_path is not None:
        check_plot(plot_path)
    result: BenchReport | BackendReport
    if backend == "all":
        ruled_out = [name for name in ("device", "precision") if getattr(model, name) != "auto"]
        ruled_out += ["compile"] if model.compile else []
        ruled_out += ["effect"] if effects else []
        if ruled_out:
            raise SettingError(
                f"`{ruled_out[0]}`: --backend all measures every backend; omit this option"
            )
        result = bench_backends(
            model,
            bench=bench,
            faces=faces,
            view=view,
            on_progress=lambda name: click.echo(name, err=True),
        )
    else:
        model = dataclasses.replace(model, backend=backend)
        total = bench.warmup + bench.frames
        with reporting(frame_count=total, quiet=False, title="bench") as report:
            result = run_bench(
                bench, model=model, faces=faces, view=view, effects=effects, on_progress=report
            )
    # Figures must not be cut off; a narrow terminal wraps the lines instead.
    Console(highlight=False, width=max(TABLE_COLUMNS, Console().width)).print(result.table())
    if json_path is not None:
        text = json.dumps(result.to_json(), indent=2) + "\n"
        write_output("--json", json_path, text.encode(), overwrite=overwrite)
    if plot_path is not None:
        plot(result, plot_path, overwrite=overwrite)

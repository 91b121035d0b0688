"""The commands of `python -m training` that evaluate a model or label pictures with it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from rtseg.errors import SettingError, SinkError
from rtseg.labels import LabelSet
from rtseg.system.files import file_id, file_ids, write_whole
from training.distributed import joined
from training.evaluation.metrics import Matrix
from training.recipes import recipe_of

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="RTSEG_DATA",
    required=True,
    metavar="DIR",
    help="Folder of the data sets; also taken from $RTSEG_DATA.",
)


@click.command("evaluate")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@DATA
@click.option("--recipe", help="The recipe for data and splits [default: the checkpoint's].")
@click.option("--split", help="The split [default: the recipe's first].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--device", default="cpu", show_default=True, help="The PyTorch device.")
@click.option("--write", is_flag=True, help="Write the metrics into the checkpoint's header.")
def evaluate_command(
    checkpoint: Path,
    data: Path,
    recipe: str | None,
    split: str | None,
    as_json: bool,
    device: str,
    write: bool,
) -> None:
    """Evaluate CHECKPOINT: one pass, argmax of the upsampled logits, one confusion matrix."""
    from rtseg.checkpoint import read_checkpoint, write_checkpoint
    from training.evaluation.metrics import f1_table, pixel_accuracy, pixel_counts
    from training.evaluation.predictor import evaluated

    model = read_checkpoint(checkpoint)
    chosen = recipe_of(recipe or str(model.spec.provenance.get("recipe", "")))
    chosen_split = split or chosen.splits[0]
    if chosen_split not in chosen.splits:
        raise SettingError(f"unknown split {chosen_split!r}; allowed: {', '.join(chosen.splits)}")
    with joined(device) as group:
        dataset = group.part(chosen.evaluation(data, chosen_split))
        matrix = group.summed(evaluated(model, dataset, device=device))
    if not group.leads:
        return
    result: dict[str, Any] = {
        "split": chosen_split,
        "size": f"{model.spec.input_width}x{model.spec.input_height}",
        "pixel_accuracy": round(pixel_accuracy(matrix), 4),
        "f1": f1_table(matrix, model.spec.label_set),
        "pixels": pixel_counts(matrix, model.spec.label_set),
    }
    if write:
        write_checkpoint(
            dataclasses.replace(model, spec=dataclasses.replace(model.spec, accuracy=result)),
            checkpoint,
        )
    if as_json:
        click.echo(json.dumps(result))
    else:
        _print_result(result, matrix, model.spec.label_set, chosen.published)


@click.command("robustness")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@DATA
@click.option(
    "--split",
    type=click.Choice(["val", "report"]),
    default="val",
    show_default=True,
    help="The split of Helen*; use report only once, for a released model.",
)
@click.option(
    "--crops", default=100, show_default=True, help="Number of crops of each kind without a face."
)
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path), help="Also write JSON to this file."
)
@click.option("--device", default="cpu", show_default=True, help="The PyTorch device.")
def robustness_command(
    checkpoint: Path, data: Path, split: str, crops: int, json_path: Path | None, device: str
) -> None:
    """Evaluate a face-part CHECKPOINT on bad pictures, small faces, no faces and profiles."""
    from rtseg.checkpoint import read_checkpoint
    from training.evaluation.predictor import Predictor
    from training.evaluation.robustness import measure

    model = read_checkpoint(checkpoint)
    predictor = Predictor.of_checkpoint(model)
    predictor.model.to(device)

    def say(what: str) -> None:
        click.echo(f"measuring: {what}", err=True)

    measured = measure(predictor, model.spec.label_set, data, split=split, crops=crops, say=say)
    click.echo(f"split {split}\n\n{measured.markdown()}", nl=False)
    if json_path is not None:
        try:
            if file_id(json_path) == file_id(checkpoint):
                raise SinkError(f"--json {json_path}: is the checkpoint itself; give another name")
            write_whole(json_path, json.dumps(measured.plain(), indent=1).encode())
        except OSError as error:
            raise SinkError(f"{json_path}: cannot be written: {error.strerror}") from None


@click.command("skin-tones")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@DATA
@click.option("--split", type=click.Choice(["val", "report"]), default="val", show_default=True)
@click.option("--device", default="cpu", show_default=True, help="The PyTorch device.")
def skin_tones_command(checkpoint: Path, data: Path, split: str, device: str) -> None:
    """Evaluate a `face-parts` CHECKPOINT by skin tone, on CelebAMask-HQ and Helen* together."""
    from rtseg.checkpoint import read_checkpoint
    from training.evaluation.predictor import Predictor
    from training.evaluation.skin_tone import measure_skin_tones, tone_table

    model = read_checkpoint(checkpoint)
    chosen = recipe_of("face-parts")
    if model.spec.label_set.names != chosen.spec.label_set.names:
        raise SettingError(
            f"{checkpoint}: has the classes of {model.spec.label_set.name}; skin tones are "
            "measured on those of face-parts"
        )
    predictor = Predictor.of_checkpoint(model)
    predictor.model.to(device)
    datasets = [chosen.evaluation(data, f"{name}-{split}") for name in ("celebamask", "helen")]
    click.echo(f"split {split}\n\n{tone_table(measure_skin_tones(predictor, datasets))}", nl=False)


@click.command("calibrate")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@DATA
@click.option("--views", default=768, show_default=True, help="Number of composites to evaluate.")
@click.option("--write", is_flag=True, help="Put the calibration into the checkpoint's header.")
@click.option("--diagram", type=click.Path(path_type=Path), help="Draw a reliability diagram.")
def calibrate_command(
    checkpoint: Path, data: Path, views: int, write: bool, diagram: Path | None
) -> None:
    """Calibrate the scores of a finder's CHECKPOINT on the val split, so that they are
    probabilities."""
    from rtseg.checkpoint import read_checkpoint, write_checkpoint
    from training.evaluation.score_calibration import calibrate_finder, draw_diagram

    if diagram is not None and file_id(diagram) == file_id(checkpoint):
        raise SinkError(f"--diagram {diagram}: is the checkpoint itself; give another name")
    model = read_checkpoint(checkpoint)
    if model.spec.view != "finder":
        raise SettingError(f"{checkpoint}: labels pixels and finds no faces; only finders have it")
    calibrated = calibrate_finder(model, data, split="val", views=views)
    scale, shift = calibrated.calibration
    click.echo(f"scale {scale:.3f}, shift {shift:.3f}\n\n{calibrated.markdown()}", nl=False)
    if diagram is not None:
        draw_diagram(calibrated, diagram)
    if write:
        spec = dataclasses.replace(model.spec, calibration=(round(scale, 3), round(shift, 3)))
        write_checkpoint(dataclasses.replace(model, spec=spec), checkpoint, half=True)


@click.command("predict")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder.")
def predict_command(checkpoint: Path, images: tuple[Path, ...], out: Path) -> None:
    """Label IMAGES and write NAME.png with 8-bit label ids for each into the folder."""
    import cv2

    from rtseg.checkpoint import read_checkpoint
    from training.data.base import read_image
    from training.evaluation.predictor import Predictor

    predictor = Predictor.of_checkpoint(read_checkpoint(checkpoint))
    inputs = file_ids([checkpoint, *images])
    for path in images:
        target = out / f"{path.stem}.png"
        if file_id(target) in inputs:
            raise SinkError(f"{target}: is one of the inputs; give another folder")
    for path in images:
        (labels,) = predictor([read_image(path)])
        target = out / f"{path.stem}.png"
        try:
            out.mkdir(parents=True, exist_ok=True)
            write_whole(target, bytes(cv2.imencode(".png", labels)[1]), durable=False)
        except OSError as error:
            raise SinkError(f"{target}: cannot be written: {error.strerror}") from None
        click.echo(f"wrote {target}")


@click.command("release")
@click.argument("run", type=click.Path(path_type=Path))
@DATA
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    default=Path("rtseg/weights"),
    show_default=True,
    metavar="FOLDER",
    help="Where the files go.",
)
@click.option(
    "--goldens",
    type=click.Path(path_type=Path),
    default=Path("tests/goldens"),
    show_default=True,
    metavar="FOLDER",
    help="Where the label map of a portrait goes.",
)
@click.option(
    "--documentation",
    type=click.Path(path_type=Path),
    default=Path("docs/models.md"),
    show_default=True,
    metavar="FILE",
    help="The page whose tables of figures are filled in.",
)
@click.option("--no-tables", is_flag=True, help="Leave the documentation as it is.")
@click.option(
    "--report",
    is_flag=True,
    help="Also evaluate on the report splits; only once, for a finished model.",
)
def release_command(
    run: Path,
    data: Path,
    weights: Path,
    goldens: Path,
    documentation: Path,
    no_tables: bool,
    report: bool,
) -> None:
    """Make everything that ships from RUN, a run's folder or a checkpoint.

    Weights in half precision, ONNX, the INT8 model, their hashes, the golden label map, and the
    tables of the documentation.
    """
    from training.release import release

    written = release(
        run,
        data=data,
        weights=weights,
        goldens=goldens,
        documentation=None if no_tables else documentation,
        with_report=report,
        say=lambda what: click.echo(what, err=True),
    )
    for path in written:
        click.echo(f"wrote {path}")


def _print_result(
    result: Mapping[str, Any], matrix: Matrix, label_set: LabelSet, published: Mapping[str, float]
) -> None:
    from training.evaluation.report import results_table

    click.echo(f"split {result['split']} at {result['size']}\n")
    click.echo(results_table(matrix, label_set, published), nl=False)


COMMANDS = (
    evaluate_command,
    robustness_command,
    skin_tones_command,
    calibrate_command,
    predict_command,
    release_command,
)

"""`rtseg image`: still pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtseg.cli.options import with_settings
from rtseg.cli.progress import set_up_logging
from rtseg.errors import OutputExistsError, RtsegError, SettingError, SinkError
from rtseg.settings import FaceSettings, ModelSettings, ViewSettings
from rtseg.system.files import file_id, file_ids

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rtseg.segmenter import Segmenter


@click.command(short_help="Segment still pictures.")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUTS…")
@click.option("-o", "--output", metavar="FOLDER", help="Where the rendered pictures go (PNG).")
@click.option("--labels", metavar="FOLDER", help="Where label ids go: 8-bit PNGs, same names.")
@click.option("--overwrite/--no-overwrite", default=False, help="Replace pictures that exist.")
@with_settings(
    view=ViewSettings,
    model=ModelSettings,
    faces=FaceSettings,
    omit=("hud", "smoothing", "detect_every", "hold"),
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
def command(
    inputs: tuple[str, ...],
    output: str | None,
    labels: str | None,
    overwrite: bool,
    view: ViewSettings,
    model: ModelSettings,
    faces: FaceSettings,
    quiet: bool,
    verbose: bool,
) -> int:
    """Segment still pictures (files, folders or quoted patterns) into FOLDER, as PNGs named like
    their inputs. A picture that cannot be read is named, and the others are done.

    \b
    rtseg image photo.jpg -o out
    rtseg image photos/ -o out --labels masks --view cutout --classes hair
    """
    from rtseg.backends import open_backend_for
    from rtseg.segmenter import Segmenter
    from rtseg.sinks.images import write_png
    from rtseg.views import check_view

    set_up_logging(verbose=verbose, quiet=quiet)
    if output is None and labels is None:
        raise SettingError("no output; give -o FOLDER or --labels FOLDER")
    stills = _expand(inputs)
    targets = [Path(folder) for folder in (output, labels) if folder is not None]
    _check_names(stills, targets, overwrite=overwrite)
    failures: list[tuple[Path, RtsegError]] = []
    write = partial(write_png, overwrite=overwrite, inputs=file_ids(stills))
    with open_backend_for(model) as backend:
        segmenter = Segmenter(backend=backend, faces=faces)
        check_view(view, segmenter.label_set, alpha=True)
        for still in stills:
            try:
                line = _segment_still(
                    still, segmenter, view, output=output, labels=labels, write=write
                )
            except RtsegError as error:
                failures.append((still, error))
                click.echo(f"error: {error}", err=True)
                if isinstance(error, SinkError):
                    break
                continue
            if not quiet:
                click.echo(line, err=True)
    if not quiet:
        click.echo(f"{len(stills) - len(failures)} of {len(stills)} pictures segmented", err=True)
    return failures[-1][1].exit_code if failures else 0


def _segment_still(
    still: Path,
    segmenter: Segmenter,
    view: ViewSettings,
    *,
    output: str | None,
    labels: str | None,
    write: Callable[[Path, npt.NDArray[np.uint8]], None],
) -> str:
    """Segment one picture and write what was asked for; a line that says what was found."""
    from fractions import Fraction

    from rtseg.frames import Frame
    from rtseg.sources.images import read_image
    from rtseg.views import render

    image = read_image(still)
    segmentation = segmenter(image)
    if output is not None:
        frame = Frame(image=image, index=0, pts=0, time_base=Fraction(1, 25))
        picture = render(frame, segmentation, view, alpha=True)
        write(Path(output) / f"{still.stem}.png", picture)
    if labels is not None:
        write(Path(labels) / f"{still.stem}.png", segmentation.labels)
    count = len(segmentation.faces)
    return f"{still}: {'no face' if not count else '1 face' if count == 1 else f'{count} faces'}"


def _expand(inputs: tuple[str, ...]) -> list[Path]:
    """Every still behind files, folders and patterns, each once, in order.

    A single file that is not there is left to be reported when its turn comes.
    """
    from rtseg.sources.images import find_images

    stills: dict[Path, None] = {}
    for name in inputs:
        path = Path(name)
        alone = not path.is_dir() and not any(sign in name for sign in "*?[%")
        stills.update(dict.fromkeys([path] if alone else find_images(name)))
    return list(stills)


def _check_names(stills: list[Path], folders: list[Path], *, overwrite: bool) -> None:
    """Refuse, before anything is written, what would overwrite an input or another output."""
    from rtseg.sinks.disk_space import check_is_path

    for folder in folders:
        check_is_path(folder)
    named: dict[str, Path] = {}
    for still in stills:
        if still.stem in named:
            raise SettingError(
                f"{still} and {named[still.stem]} would both be written as {still.stem}.png; "
                "give them other names, or other folders in two runs"
            )
        named[still.stem] = still
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise SettingError("-o and --labels are one folder; give each its own")
    inputs = file_ids(stills)
    for folder in folders:
        for stem in named:
            target = folder / f"{stem}.png"
            if file_id(target) in inputs:
                raise SettingError(f"{target} is an input itself; give another output folder")
            if target.exists() and not overwrite:
                raise OutputExistsError(f"{target} exists; --overwrite replaces it")
        nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise SinkError(f"{folder}: cannot be created: {nearest} is no folder")

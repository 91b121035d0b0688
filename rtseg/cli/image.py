"""`rtseg image`: segment still pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtseg.cli.habits import MARK, PICTURE_SUFFIXES, is_meant_as_picture, with_advice_for
from rtseg.cli.options import with_effects, with_settings
from rtseg.cli.progress import set_up_logging
from rtseg.cli.values import Place
from rtseg.errors import (
    NoVideoError,
    OutputExistsError,
    RtsegError,
    SettingError,
    SinkError,
    SourceError,
    listed,
)
from rtseg.media.urls import display_name, local_path
from rtseg.outputs import check_folder
from rtseg.settings import FaceSettings, ModelSettings, ViewSettings
from rtseg.system.files import file_id, file_ids

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rtseg.segmenter import Segmenter
    from rtseg.sources.listing import LeftOut
    from rtseg.views.live import Effect


@click.command(short_help="Segment still pictures.")
@click.argument("inputs", nargs=-1, metavar="INPUTS…", type=Place())
@click.option("-i", "--input", "more_inputs", multiple=True, type=Place(), hidden=True)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER|FILE",
    type=Place(),
    help="Where to write the rendered pictures: a folder, or a file for a single picture.",
)
@click.option(
    "--labels",
    metavar="FOLDER|FILE",
    type=Place(),
    help="Where to write label ids, as 8-bit PNGs with the same names.",
)
@click.option("-y", "--overwrite/--no-overwrite", default=False, help="Replace existing files.")
@with_settings(
    view=ViewSettings,
    model=ModelSettings,
    faces=FaceSettings,
    omit=("hud", "smoothing", "detect_every", "hold"),
)
@with_effects
@with_advice_for(
    {
        "--show": "write the picture with -o FILE and open it",
        "--save-txt": "--labels FOLDER writes label ids",
        "--alpha": "`rtseg video INPUT -o FOLDER --alpha NAMES` writes soft masks, of stills too",
        "--json": "`rtseg video INPUT --json FILE` writes records, of stills too",
        "--coco": "`rtseg video INPUT --coco FILE` writes annotations, of stills too",
    }
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print more.")
def command(
    inputs: tuple[str, ...],
    more_inputs: tuple[str, ...],
    output: str | None,
    labels: str | None,
    overwrite: bool,
    view: ViewSettings,
    effects: tuple[str, ...],
    model: ModelSettings,
    faces: FaceSettings,
    quiet: bool,
    verbose: bool,
) -> int:
    """Segment still pictures: files, folders or quoted patterns.

    In a folder, results are PNGs named like their inputs. Unreadable pictures are reported and
    skipped. Without any output, a.jpg becomes a.rtseg.png in the current folder.

    \b
    rtseg image photo.jpg -o out.png
    rtseg image photos/ -o out --labels masks --view cutout --classes hair
    rtseg image photo.jpg -o red.jpg --effect lips=#b0122a
    """
    from rtseg.backends import label_set_of, open_backend_for
    from rtseg.segmenter import Segmenter
    from rtseg.sinks.images import write_picture
    from rtseg.wiring import chained, check_choices

    set_up_logging(verbose=verbose, quiet=quiet)
    named = [*inputs, *more_inputs]
    if not named:
        raise SettingError("no input; give a picture, a folder or a pattern")
    if output is None and len(named) == 2 and is_meant_as_picture(named[1]):
        named, output = named[:1], named[1]
    stills, left_out = _expand(named)
    if output is None and labels is None:
        if len(stills) != 1:
            raise SettingError("no output; give -o FOLDER or --labels FOLDER")
        output = f"{stills[0].stem}.{MARK}.png"
        if not quiet:
            click.echo(f"no output given: writing {output}", err=True)
    targets = _Targets(stills, output=output, labels=labels)
    targets.check(overwrite=overwrite)
    check_choices(
        label_set_of(model.model), view=view, effects=effects, has_alpha=targets.has_alpha
    )
    failures: list[tuple[Path, RtsegError]] = []
    write = partial(write_picture, overwrite=overwrite, inputs=file_ids(stills))
    with open_backend_for(model) as backend:
        soft = bool(effects) or view.kind.uses_soft_masks
        segmenter = Segmenter(backend=backend, faces=faces, soft=soft)
        changes = chained(effects, segmenter.label_set)
        for still in stills:
            try:
                line = _segment_still(still, segmenter, view, changes, targets, write=write)
            except RtsegError as error:
                failures.append((still, error))
                click.echo(f"error: {error}", err=True)
                if isinstance(error, SinkError):
                    break
                continue
            if not quiet:
                click.echo(line, err=True)
    for one in left_out:
        click.echo(f"error: {one.path}: skipped: {one.reason}", err=True)
    if not quiet:
        total = len(stills) + len(left_out)
        click.echo(f"{len(stills) - len(failures)} of {total} pictures segmented", err=True)
    if failures:
        return failures[-1][1].exit_code
    return SourceError.exit_code if left_out else 0


def _segment_still(
    still: Path,
    segmenter: Segmenter,
    view: ViewSettings,
    changes: Sequence[Effect],
    targets: _Targets,
    *,
    write: Callable[[Path, npt.NDArray[np.uint8]], None],
) -> str:
    """Segment one picture and write the outputs; return a line about the faces found."""
    from dataclasses import replace
    from fractions import Fraction

    from rtseg.frames import Frame
    from rtseg.sources.images import read_image
    from rtseg.views import render

    image = read_image(still)
    segmentation = segmenter(image)
    picture_file, labels_file = targets.of(still)
    if picture_file is not None:
        # each still is independent: no colour statistics are kept from one to the next
        frame = Frame(image=image, index=0, pts=0, time_base=Fraction(1, 25), discontinuity=True)
        for change in changes:
            frame = replace(frame, image=change(frame, segmentation))
        write(picture_file, render(frame, segmentation, view, alpha=targets.has_alpha))
    if labels_file is not None:
        write(labels_file, segmentation.labels)
    count = len(segmentation.faces)
    return f"{still}: {'no face' if not count else '1 face' if count == 1 else f'{count} faces'}"


def _expand(inputs: Sequence[str]) -> tuple[list[Path], list[LeftOut]]:
    """List every still in files, folders and patterns, each once, in order; and skipped files.

    A missing single file is reported later, when its turn comes.

    Raises:
        SourceError: there is nothing to read, or an input is not a file.
    """
    from rtseg.sources.listing import LeftOut, is_listing, list_files

    stills: dict[Path, None] = {}
    left_out: list[LeftOut] = []
    for name in inputs:
        path = local_path(name)
        if path is None:
            raise SourceError(f"{display_name(name)}: is not a file; rtseg video reads URLs")
        if not is_listing(name):
            stills[path] = None
            continue
        listing = list_files(name)
        listing.say_others()
        stills.update(dict.fromkeys(listing.pictures))
        left_out += listing.left_out
        for video in listing.videos:
            left_out.append(LeftOut(path=video, reason="is a video or an animation: rtseg video"))
        if not listing.pictures and not listing.videos and not listing.left_out:
            raise NoVideoError(f"{name}: no picture that can be read")
    if not stills:
        raise NoVideoError("no picture that can be read: " + "; ".join(map(str, left_out[:5])))
    return list(stills), left_out


class _Targets:
    """The output files of each still.

    Args:
        stills: the inputs.
        output: for rendered pictures: a folder, or a file for a single still; None for no output.
        labels: for labels, likewise.

    Raises:
        SettingError: one file is given for several stills, a format is not supported, or two
            stills have the same name.
    """

    def __init__(self, stills: list[Path], *, output: str | None, labels: str | None) -> None:
        self._stills = stills
        self._output = None if output is None else Path(output)
        self._labels = None if labels is None else Path(labels)
        self._check_file("-o", self._output, PICTURE_SUFFIXES)
        self._check_file("--labels", self._labels, (".png",))
        named: dict[str, Path] = {}
        for still in stills:
            if still.stem in named:
                raise SettingError(
                    f"{still} and {named[still.stem]} would both be written as {still.stem}.png; "
                    "rename one, or use two runs with different folders"
                )
            named[still.stem] = still
        if self._output and self._labels and self._output.resolve() == self._labels.resolve():
            raise SettingError("-o and --labels are the same; give each its own")

    def _check_file(self, option: str, place: Path | None, allowed: Sequence[str]) -> None:
        from rtseg.sinks.disk_space import check_is_path

        if place is None:
            return
        check_is_path(place)
        if not _is_file(place):
            return
        if place.suffix.lower() not in allowed:
            raise SettingError(
                f"{option} {place}: {place.suffix} cannot be written; "
                f"allowed: {listed(allowed)}, or a folder"
            )
        if len(self._stills) > 1:
            raise SettingError(
                f"{option} {place}: one file for {len(self._stills)} pictures; give a folder"
            )

    @property
    def has_alpha(self) -> bool:
        """Whether the rendered pictures' formats support transparency."""
        place = self._output
        return place is None or not _is_file(place) or place.suffix.lower() in (".png", ".webp")

    def of(self, still: Path) -> tuple[Path | None, Path | None]:
        """The files for a still's rendered picture and labels."""
        return _target(self._output, still), _target(self._labels, still)

    def check(self, *, overwrite: bool) -> None:
        """Check, before anything is written, that no input or existing file is overwritten.

        Raises:
            SettingError: an output is an input.
            OutputExistsError: an output exists, and may not be replaced.
            SinkError: its folder cannot be created.
        """
        inputs = file_ids(self._stills)
        for still in self._stills:
            for target in self.of(still):
                if target is None:
                    continue
                if file_id(target) in inputs:
                    raise SettingError(f"{target} is an input itself; give another output folder")
                if target.exists() and not overwrite:
                    raise OutputExistsError(f"{target} exists; --overwrite replaces it")
                check_folder(target.parent)


def _is_file(place: Path) -> bool:
    return bool(re.fullmatch(r"\.[A-Za-z][A-Za-z0-9]{1,4}", place.suffix)) and not place.is_dir()


def _target(place: Path | None, still: Path) -> Path | None:
    if place is None or _is_file(place):
        return place
    return place / f"{still.stem}.png"

"""Process many videos in one run: a failing one does not stop the others; none is done twice."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from rtseg.cli.options import with_options_named
from rtseg.destination import NUMBERED, container_for, is_folder, stem_of
from rtseg.errors import DiskFullError, RtsegError, SettingError, SinkError, SourceError
from rtseg.outputs import STANDARD_STREAM, check_outputs, shown
from rtseg.settings import EncodeSettings
from rtseg.system.files import FileId, create_part, file_id
from rtseg.system.libraries import missing_library

_INTERRUPTED = 128
"""Exit codes from this one on stand for a signal."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One input and its output files."""

    source: str
    output: str | None
    labels: str | None
    records: str | None
    coco: str | None = None

    @property
    def files(self) -> list[Path]:
        """The output files."""
        return [Path(name) for name in (self.output, self.labels, self.records, self.coco) if name]

    @property
    def is_finished(self) -> bool:
        """Whether all output files exist: a file gets its name only once it is complete.

        For numbered pictures this cannot be determined.
        """
        return all(path.exists() for path in self.files)


def plan_batch(
    inputs: Sequence[str],
    *,
    output: str | None,
    labels: str | None,
    records: str | None,
    coco: str | None = None,
    encode: EncodeSettings,
    only_lossless: bool = False,
    resume: bool,
    frames: bool = False,
) -> list[Job]:
    """Choose the output files of each input: `a.mov`, in the labels' folder `a.mkv`, then
    `a.jsonl`, and `a.json` for COCO.

    An input whose container cannot be written, or not with the codec, becomes a `.mkv`; so does
    every one whose soft masks are written (`only_lossless`).

    Raises:
        SettingError: an output is not a folder, two inputs would have the same output, or an output
            would be an input.
    """
    if not any((output, labels, records, coco)):
        raise SettingError(
            "no output; give -o FOLDER, --labels FOLDER, --json FOLDER or --coco FOLDER"
        )
    if resume and encode.overwrite:
        raise SettingError("--resume keeps what --overwrite replaces; give one of them")
    folders = {"-o": output, "--labels": labels, "--json": records, "--coco": coco}
    for option, folder in folders.items():
        _check_folder(option, folder)
    jobs = []
    for source in inputs:
        stem = stem_of(source)
        suffix = ".mkv" if only_lossless else container_for(source, encode)
        view = f"{stem}/{NUMBERED}" if frames else stem + suffix
        jobs.append(
            Job(
                source=source,
                output=_within(output, view),
                labels=_within(labels, f"{stem}.{'labels.' if labels == output else ''}mkv"),
                records=_within(records, f"{stem}.jsonl"),
                coco=_within(coco, f"{stem}.json"),
            )
        )
    outputs: dict[str, str | None] = {}
    for job in jobs:
        outputs |= {f"{shown(job.source)} ({path.name})": str(path) for path in job.files}
    if len({job.source for job in jobs}) < len(jobs):
        raise SettingError("an input is named twice; name each once")
    check_outputs([job.source for job in jobs], outputs)
    return jobs


def expand_inputs(inputs: Sequence[str]) -> tuple[list[str], bool]:
    """List the inputs, each folder or pattern of videos replaced by its videos.

    Returns:
        The inputs, and whether there was such a folder or pattern, even of a single file.

    Raises:
        SourceError: a folder or pattern contains both stills and videos, or neither.
    """
    from rtseg.sources.listing import is_listing, list_files, stills_of

    sources: list[str] = []
    has_expanded = False
    for name in inputs:
        if not is_listing(name):
            sources.append(name)
            continue
        listing = list_files(name)
        if listing.videos and not listing.is_mixed:
            listing.say_others()
            sources += [str(path) for path in listing.videos]
            has_expanded = True
        else:
            stills_of(listing)
            sources.append(name)
    return sources, has_expanded


def run_batch(jobs: Sequence[Job], run: Callable[[Job], int], *, resume: bool, quiet: bool) -> int:
    """Run every job; return the exit code: 0, the first failure's, or the interrupting signal's.

    Args:
        run: runs one job and returns its exit code.
        resume: whether to skip finished jobs.

    Raises:
        RtsegError: an error that would affect every other input as well.
    """
    failures: list[tuple[Job, str, int]] = []
    done = skipped = code = 0
    for job in jobs:
        if resume and job.is_finished:
            skipped += 1
            continue
        before = {path: file_id(path) for path in job.files}
        try:
            code = run(job)
        except (DiskFullError, SettingError):
            _summarise(jobs, done, skipped, failures, quiet=quiet)
            raise
        except (SourceError, SinkError) as error:
            reason = with_options_named(str(error))
            click.echo(f"error: {reason}", err=True)
            failures.append((job, reason, error.exit_code))
            continue
        except RtsegError:
            _summarise(jobs, done, skipped, failures, quiet=quiet)
            raise
        except Exception as error:  # a bug: shown with its traceback, and the others continue
            if missing_library(error) is not None:
                raise
            click.echo(traceback.format_exc(), err=True)
            failures.append((job, f"a bug: {type(error).__name__}; please report it", 1))
            continue
        if code >= _INTERRUPTED:
            _mark_unfinished(job, before)
            break
        done += 1
    _summarise(jobs, done, skipped, failures, quiet=quiet)
    if code >= _INTERRUPTED:
        return code
    return failures[0][2] if failures else 0


def _summarise(
    jobs: Sequence[Job],
    done: int,
    skipped: int,
    failures: Sequence[tuple[Job, str, int]],
    *,
    quiet: bool,
) -> None:
    if quiet:
        return
    parts = [f"{done} of {len(jobs)} videos done"]
    if skipped:
        parts.append(f"{skipped} finished before")
    if failures:
        parts.append(f"{len(failures)} failed")
    left = len(jobs) - done - skipped - len(failures)
    if left:
        parts.append(f"{left} left; --resume continues with them")
    click.echo(", ".join(parts), err=True)
    for job, reason, _code in failures:
        click.echo(f"  failed: {shown(job.source)}: {reason}", err=True)


def _mark_unfinished(job: Job, before: Mapping[Path, FileId | None]) -> None:
    """Rename the output of an interrupted job to a temporary name again, so that it counts as
    partial.

    Files that existed before the job and were not rewritten are left unchanged.
    """
    for path in job.files:
        if file_id(path) not in {None, before.get(path)}:
            path.replace(create_part(path))


def _check_folder(option: str, folder: str | None) -> None:
    if folder is None:
        return
    from rtseg.sinks.disk_space import check_is_path

    check_is_path(folder)
    path = Path(folder)
    is_named_as_file = bool(path.suffix) and not is_folder(folder)
    if folder == STANDARD_STREAM or is_named_as_file or path.is_file():
        raise SettingError(f"{option}: {folder} is no folder; several inputs need one")


def _within(folder: str | None, name: str) -> str | None:
    return None if folder is None else str(Path(folder) / name)

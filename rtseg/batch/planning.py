"""Choose the output files of each input, so that no two inputs share one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rtseg.batch.tasks import BatchSettings, BatchTask, Kind
from rtseg.destination import is_folder, stem_of
from rtseg.errors import SettingError
from rtseg.media.urls import display_name, local_path, url_scheme
from rtseg.outputs import STANDARD_STREAM, check_outputs, shown

_DIGITS = 8

_LONGEST_NAME_BYTES = 200
"""Of the 255 that file systems allow; suffixes and the marks of unfinished files take the rest."""


def plan_tasks(sources: Sequence[str], *, folder: str, settings: BatchSettings) -> list[BatchTask]:
    """Make a task for each input; the same inputs give the same names, in any order.

    Inputs with the same stem get a few digits of a hash of their path, and so do those whose name
    is too long for an output, or is no text in UTF-8.

    Raises:
        SettingError: an output would be an input, or the folder is a file.
    """
    path = local_path(folder)
    if path is not None and path.exists() and not path.is_dir():
        raise SettingError(f"`output` {folder}: is a file; a batch needs a folder")
    if path is None and url_scheme(folder) is None:
        raise SettingError(f"`output` {folder}: is neither a folder nor a URL")
    folder = folder if path is None else str(path)
    stems = Counter(stem_of(source).casefold() for source in sources)
    tasks = []
    for source in sources:
        given = stem_of(source)
        stem = _allowed(given)
        if stem != given or stems[stem.casefold()] > 1:
            stem = f"{stem}-{_digest(source)[:_DIGITS]}"
        tasks.append(BatchTask(source=source, folder=folder, name=stem, settings=settings))
    if path is not None:
        _check(tasks)
    return tasks


def _allowed(stem: str) -> str:
    """A name that every file system and table takes: not too long, and text."""
    text = stem.encode(errors="surrogateescape").decode(errors="replace")
    return text.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore")


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest()


def plan_direct(
    sources: Sequence[str], folders: Mapping[Kind, str], settings: BatchSettings
) -> list[BatchTask]:
    """Make a task for each input, with files named after it, each kind in its own folder.

    Args:
        sources: paths and URLs.
        folders: the folder for each kind of output that `settings` requests.
        settings: the settings of every task.

    Raises:
        SettingError: an output is not a folder, two inputs would have the same output, or an output
            would be an input.
    """
    for kind, folder in folders.items():
        _check_folder("output" if kind == "pictures" else kind, folder)
    if len(set(sources)) < len(sources):
        raise SettingError("an input is given twice; give each once")
    first = next(iter(folders.values()))
    tasks = [
        BatchTask(
            source=source,
            folder=first,
            # labels have the folder to themselves unless the pictures go there
            folders={"pictures": "", **folders},
            name=stem_of(source),
            settings=settings,
        )
        for source in sources
    ]
    _check(tasks)
    return tasks


def _check(tasks: Sequence[BatchTask]) -> None:
    outputs: dict[str, str | None] = {}
    for task in tasks:
        for kind, place in task.places.items():
            outputs[f"{shown(task.source)} ({Path(task.files[kind]).name})"] = place
    check_outputs([task.source for task in tasks], outputs)


def _check_folder(name: str, folder: str) -> None:
    if url_scheme(folder) is not None:
        raise SettingError(
            f"`{name}`: {display_name(folder)} is a URL; several inputs need a folder (rtseg batch "
            "writes to s3:// and other URLs of fsspec)"
        )
    path = Path(folder)
    is_named_as_file = bool(path.suffix) and not is_folder(folder)
    if folder == STANDARD_STREAM or is_named_as_file or path.is_file():
        raise SettingError(f"`{name}`: {folder} is not a folder; several inputs need one")

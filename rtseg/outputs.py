"""Check outputs before a run: none is an input or another output, and folders can be written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from rtseg.errors import OutputExistsError, SettingError, SinkError
from rtseg.system.files import FileId, file_id, file_ids, write_whole

STANDARD_STREAM = "-"


def shown(location: str) -> str:
    """An input's name in messages: a path as given, a URL without its secrets."""
    from rtseg.media.urls import display_name, local_path

    return location if local_path(location) is not None else display_name(location)


def check_outputs(
    inputs: Iterable[str | None],
    outputs: Mapping[str, str | None],
    *,
    allow_nested_urls: bool = False,
) -> None:
    """Reject an output that is an input, and two outputs that are the same file.

    Files rather than names are compared, so links and other spellings are recognised, as are all
    files named by a folder, a pattern or a playlist among the inputs.

    Args:
        inputs: everything that is read, including models; None entries are ignored.
        outputs: everything that is written, by option; None entries are ignored.
        allow_nested_urls: whether files named by a playlist are read.

    Raises:
        SettingError: the message names the option and the path.
    """
    from rtseg.media.urls import local_path

    option_of_path: dict[Path | str, str] = {}
    read = files_behind(inputs, allow_nested_urls=allow_nested_urls)
    for option, output in outputs.items():
        if output is None or output == STANDARD_STREAM:
            continue
        path = local_path(output)
        if path is not None and file_id(path) in read:
            raise SettingError(
                f"{option}: {output} is the input itself; give another name for the output"
            )
        key = output if path is None else _key(path)
        if key in option_of_path:
            raise SettingError(
                f"{option}: {output} is also {option_of_path[key]}; give each its own name"
            )
        option_of_path[key] = option


def refuse_existing(outputs: Iterable[str | None], *, overwrite: bool) -> None:
    """Refuse outputs that exist already, before a run.

    Args:
        outputs: paths; None entries are ignored.
        overwrite: whether existing files may be replaced.

    Raises:
        OutputExistsError: one exists and may not be replaced.
    """
    for output in filter(None, outputs):
        if not overwrite and Path(output).exists():
            raise OutputExistsError(f"{output} exists; --overwrite replaces it")


def check_folder(folder: Path) -> None:
    """Reject a folder for outputs that cannot be created or written, without creating it.

    Raises:
        SinkError: the message says why.
    """
    above = (folder, *folder.absolute().parents)
    nearest = next(path for path in above if path.exists())
    if not nearest.is_dir():
        raise SinkError(f"{folder}: cannot be created: {nearest} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        what = "cannot be written" if nearest == folder else f"cannot be created in {nearest}"
        raise SinkError(f"{folder}: {what}: permission denied")


def write_output(option: str, path: str, data: bytes, *, overwrite: bool) -> None:
    """Write a file that an option names, completely or not at all.

    Raises:
        OutputExistsError: it exists, by now at least, and may not be replaced.
        SinkError: it cannot be written.
    """
    try:
        write_whole(Path(path), data, overwrite=overwrite)
    except FileExistsError:
        raise OutputExistsError(f"{path} exists; --overwrite replaces it") from None
    except OSError as error:
        raise SinkError(f"{option} {path}: cannot be written: {error.strerror}") from None


def files_behind(inputs: Iterable[str | None], *, allow_nested_urls: bool) -> frozenset[FileId]:
    """Every local file that is opened for these inputs."""
    from rtseg.sources.images import named_files
    from rtseg.sources.read_files import read_by

    files: set[FileId] = set()
    for location in filter(None, inputs):
        files |= file_ids(named_files(location))
        files |= file_ids(read_by(location, allow_nested_urls=allow_nested_urls))
    return frozenset(files)


def _key(path: Path) -> Path:
    """A key that is equal for all spellings of an output; a folder counts as its usual pattern."""
    is_folder = path.is_dir() or not path.suffix
    return (path / "%06d.png" if is_folder and "%" not in path.name else path).resolve()

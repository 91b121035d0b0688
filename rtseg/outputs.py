"""Check outputs before a run: an output must not be an input or another output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rtseg.errors import SettingError
from rtseg.system.files import FileId, file_id, file_ids

STANDARD_STREAM = "-"


def shown(location: str) -> str:
    """An input as messages name it: a path as it was given, a URL without its secrets."""
    from rtseg.media.urls import display_name, local_path

    return location if local_path(location) is not None else display_name(location)


def check_outputs(
    inputs: Iterable[str | None],
    outputs: Mapping[str, str | None],
    *,
    allow_nested_urls: bool = False,
) -> None:
    """Refuse an output that is an input, or two outputs that are one file.

    Files are compared, not names: links and other spellings count, and every file that a folder,
    a pattern or a playlist among the inputs names.

    Args:
        inputs: what is read, models included; None where nothing is.
        outputs: what is written, by the name of what asked for it; None where it was not given.
        allow_nested_urls: whether the files that a playlist names are read.

    Raises:
        SettingError: naming the option and the path.
    """
    from rtseg.media.urls import local_path

    taken: dict[Path | str, str] = {}
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
        if key in taken:
            raise SettingError(f"{option}: {output} is also {taken[key]}; give each its own name")
        taken[key] = option


def files_behind(inputs: Iterable[str | None], *, allow_nested_urls: bool) -> frozenset[FileId]:
    """Every local file that reading these inputs reads."""
    from rtseg.sources.images import named_files
    from rtseg.sources.read_files import read_by

    found: set[FileId] = set()
    for location in filter(None, inputs):
        found |= file_ids(named_files(location))
        found |= file_ids(read_by(location, allow_nested_urls=allow_nested_urls))
    return frozenset(found)


def _key(path: Path) -> Path:
    """The same for every spelling of one output; a folder of pictures is its usual pattern."""
    is_folder = path.is_dir() or not path.suffix
    return (path / "%06d.png" if is_folder and "%" not in path.name else path).resolve()

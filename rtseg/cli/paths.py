"""What may be written where: an output is never an input, and nothing is replaced unasked."""

from __future__ import annotations

from pathlib import Path

from rtseg.errors import SettingError

STANDARD_STREAM = "-"


def shown(location: str) -> str:
    """An input as messages name it: a path as it was given, a URL without its secrets."""
    from rtseg.media.urls import display_name, local_path

    return location if local_path(location) is not None else display_name(location)


def check_outputs(inputs: list[str], outputs: dict[str, str | None]) -> None:
    """Refuse an output that is an input, or two outputs that are one file.

    Args:
        inputs: what is read.
        outputs: what is written, by the option that named it; None where it was not given.

    Raises:
        SettingError: naming the option and the path.
    """
    seen: dict[Path, str] = {}
    read = [Path(name) for name in inputs if Path(name).exists()]
    for option, output in outputs.items():
        if output is None or output == STANDARD_STREAM:
            continue
        path = Path(output).resolve()
        if path.exists() and any(path.samefile(source) for source in read):  # links count as well
            raise SettingError(
                f"{option}: {output} is the input itself; give another name for the output"
            )
        if path in seen:
            raise SettingError(f"{option}: {output} is also {seen[path]}; give each its own name")
        seen[path] = option

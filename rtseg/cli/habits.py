"""Options that users of other tools try: accept them, or say what to use instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtseg.errors import SettingError

if TYPE_CHECKING:
    from rtseg.settings import EncodeSettings

Command = Callable[..., Any]

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

MARK = "rtseg"
"""What is put into the name of an output that nobody named."""


def not_here(options: Mapping[str, str]) -> Callable[[Command], Command]:
    """Answer options of other tools with what does here what they do there.

    Args:
        options: a line of advice by the option.
    """

    def decorate(command: Command) -> Command:
        for name, advice in options.items():
            command = click.option(
                name,
                hidden=True,
                expose_value=False,
                is_eager=True,
                is_flag=False,
                flag_value="",
                callback=_answer(name, advice),
            )(command)
        return command

    return decorate


def _answer(name: str, advice: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(_context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            raise SettingError(f"{name} is no option here; {advice}")

    return callback


def default_output(source: str, encode: EncodeSettings) -> str:
    """Where a video goes that nobody named: `in.mp4` to `in.rtseg.mp4` in the current folder.

    Raises:
        SettingError: the input has no name to go by.
    """
    from rtseg.destination import container_for
    from rtseg.media.urls import STANDARD_INPUT, display_name

    if source == STANDARD_INPUT:
        raise SettingError("no output; give -o OUTPUT (- for standard output)")
    stem = re.sub(r"[^\w.-]+", "_", Path(display_name(source)).stem).strip("._") or "video"
    return f"{stem}.{MARK}{container_for(source, encode)}"


def is_meant_as_output(name: str) -> bool:
    """Whether the second of two names is where the first one is to go, as in `in.mp4 out.mp4`.

    What exists is an input; what does not, and could be written, can only be an output.
    """
    from rtseg.media.urls import local_path
    from rtseg.sinks.codecs import CONTAINERS

    path = local_path(name)
    if path is None or path.exists():
        return False
    return path.suffix.lower() in CONTAINERS


def is_meant_as_picture(name: str) -> bool:
    """As `is_meant_as_output`, of stills."""
    from rtseg.media.urls import local_path

    path = local_path(name)
    return path is not None and not path.exists() and path.suffix.lower() in PICTURE_SUFFIXES


def meant_command(first: str) -> str | None:
    """The command that someone means who begins with an input: `rtseg in.mp4`; None for a word.

    A picture goes to `image`, a camera to `camera`, all else to `video`.
    """
    from rtseg.media.urls import LIVE_SCHEMES, local_path, scheme_of
    from rtseg.sources import is_camera, is_images

    if is_camera(first):
        return "camera"
    scheme = scheme_of(first)
    if scheme in LIVE_SCHEMES:
        return "camera"
    path = local_path(first)
    if path is None:
        return "video"
    if path.is_file() and is_images(first):
        return "image"
    is_name = bool(path.suffix) or len(path.parts) > 1 or any(sign in first for sign in "*?%")
    return "video" if path.exists() or is_name else None

"""Handle options and inputs that users of other tools expect: accept them or give advice."""

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
"""Inserted into the name of a default output."""


def with_advice_for(options: Mapping[str, str]) -> Callable[[Command], Command]:
    """Answer options of other tools with advice on rtseg's equivalent.

    Args:
        options: a line of advice for each option.
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
            raise SettingError(f"{name} is not an option of rtseg; {advice}")

    return callback


def default_output(source: str, encode: EncodeSettings) -> str:
    """The default output of a video: `in.rtseg.mp4` in the current folder for `in.mp4`.

    Raises:
        SettingError: the input has no name to derive it from.
    """
    from rtseg.destination import container_for
    from rtseg.media.urls import STANDARD_INPUT, display_name

    if source == STANDARD_INPUT:
        raise SettingError("no output; give -o OUTPUT (- for standard output)")
    stem = re.sub(r"[^\w.-]+", "_", Path(display_name(source)).stem).strip("._") or "video"
    return f"{stem}.{MARK}{container_for(source, encode)}"


def is_meant_as_output(name: str) -> bool:
    """Whether the second of two names is meant as the output, as in `in.mp4 out.mp4`.

    An existing file is an input; a file that does not exist but could be written is an output.
    """
    from rtseg.media.urls import local_path
    from rtseg.sinks.codecs import CONTAINERS

    path = local_path(name)
    if path is None or path.exists():
        return False
    return path.suffix.lower() in CONTAINERS


def is_meant_as_picture(name: str) -> bool:
    """Like `is_meant_as_output`, for stills."""
    from rtseg.media.urls import local_path

    path = local_path(name)
    return path is not None and not path.exists() and path.suffix.lower() in PICTURE_SUFFIXES


def guessed_command(first: str) -> str | None:
    """Guess the command for `rtseg in.mp4`; None if the word is not an input.

    Pictures go to `image`, cameras to `camera`, everything else to `video`.
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

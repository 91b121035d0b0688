"""Options that commands for video files have in common besides the settings."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import click

from rtseg.cli.options import Command
from rtseg.settings import EncodeSettings


def with_soft_masks(command: Command) -> Command:
    """Add `--alpha` and `--alpha-bits`, and pass `alpha` as class names (or None), and the bits."""

    @functools.wraps(command)
    def wrapped(*, alpha: str | None, alpha_bits: str, **values: Any) -> Any:
        classes = None if alpha is None else tuple(alpha.split(","))
        return command(alpha=classes, alpha_bits=int(alpha_bits), **values)

    for option in (
        click.option(
            "--alpha-bits",
            type=click.Choice(["8", "16"]),
            default="8",
            show_default=True,
            help="Bits per pixel of a soft mask.",
        ),
        click.option(
            "--alpha",
            metavar="NAMES",
            help="Write the soft mask of these classes to -o instead of the view, losslessly: as "
            ".mkv (FFV1) or PNG files.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


def with_no_audio(command: Command) -> Command:
    """Add `--no-audio`, and apply it to `encode`. Must be below `with_settings`."""

    @functools.wraps(command)
    def wrapped(*, no_audio: bool, encode: EncodeSettings, **values: Any) -> Any:
        if no_audio:
            encode = dataclasses.replace(encode, audio="none", subtitles="none")
        return command(encode=encode, **values)

    return click.option(
        "--no-audio", is_flag=True, help="The same as --audio none --subtitles none."
    )(wrapped)

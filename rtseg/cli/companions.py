"""Refuse an option that has an effect only together with another one, which was not given."""

from __future__ import annotations

from collections.abc import Sequence

import click
from click.core import ParameterSource

from rtseg.errors import SettingError

OF_THE_PAGE = ("token", "ssl_cert", "ssl_key", "max_viewers", "always")
"""Options that only `--web` has a use for."""

OF_THE_VIRTUAL_CAMERA = ("virtual_camera_fps", "mirror")
"""Options that only `--virtual-camera` has a use for."""

OF_THE_VIDEO = ("codec", "crf", "preset", "audio", "subtitles", "metadata", "no_audio")
"""Options that only a written picture has a use for."""


def refuse_without(companion: str, options: Sequence[str], *, given: object) -> None:
    """Refuse options that were typed without the one that they need.

    Args:
        companion: the option they need, for the message.
        options: parameters of the current command; those that it lacks are ignored.
        given: the companion's value; None or False if it was not given.

    Raises:
        SettingError: one of them was typed on the command line.
    """
    if given is not None and given is not False:
        return
    context = click.get_current_context()
    for name in options:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "--" + name.replace("_", "-")
            raise SettingError(
                f"{option}: has no effect without {companion}; give {companion} too, or leave it "
                "out"
            )

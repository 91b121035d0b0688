"""Derive command-line options (names, choices, defaults, help) from the settings."""

from __future__ import annotations

import dataclasses
import functools
import re
import types
from collections.abc import Callable, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource

from rtseg.cli.values import Device, Place, Seconds, SpelledChoice
from rtseg.effects import EFFECTS, parse_effect
from rtseg.settings import ViewSettings
from rtseg.validation import Settings, choices_of

Command = Callable[..., Any]

_OTHER_NAMES = {
    "output": "-o",
    "records": "--json",
    "source": "INPUT",
    "web": "--web",
    "virtual_camera": "--virtual-camera",
}
"""Library arguments whose options have other names or are not settings."""

_MORE_OPTIONS = {"effect", "labels", "coco", "alpha", "alpha_bits"}
"""Options that have an argument's name but are not settings."""


def with_settings(
    *,
    defaults: Mapping[str, Any] | None = None,
    omit: tuple[str, ...] = (),
    **groups: type[Settings],
) -> Callable[[Command], Command]:
    """Add the options of settings groups to a command, and pass it each validated group.

    Args:
        defaults: defaults that differ for this command, by field name.
        omit: fields without an option, which keep their defaults.
        groups: the groups by the name of the command's parameter.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapped(**values: Any) -> Any:
            for name, group in groups.items():
                fields = [f.name for f in dataclasses.fields(group) if f.name not in omit]
                values[name] = group(**{field: values.pop(field) for field in fields})
            return command(**values)

        decorated: Command = wrapped
        for group in reversed(groups.values()):
            hints = get_type_hints(group)
            for field in reversed(dataclasses.fields(group)):
                if field.name in omit:
                    continue
                default = (defaults or {}).get(field.name, field.default)
                decorated = _option(field, hints[field.name], default)(decorated)
        return decorated

    return decorate


def _option(field: dataclasses.Field[Any], hint: Any, default: Any) -> Callable[[Command], Command]:
    name = field.name.replace("_", "-")
    help_text = str(field.metadata["help"])
    low, high = field.metadata["low"], field.metadata["high"]
    if low is not None and high is not None:
        help_text += f" ({_number(low)} to {_number(high)})"
    help_text = f"{help_text[0].upper()}{help_text[1:]}."
    if hint is bool:
        short = ("-y",) if name == "overwrite" else ()
        return click.option(
            *short,
            f"--{name}/--no-{name}",
            field.name,
            default=default,
            help=help_text,
            show_default=True,
        )
    if get_origin(hint) is tuple:
        return click.option(
            f"--{name}",
            field.name,
            default=",".join(default),
            callback=lambda _context, _parameter, value: tuple(value.split(",")),
            help=help_text,
            show_default=True,
            metavar="NAMES",
        )
    return click.option(
        f"--{name}",
        field.name,
        default=default,
        type=_parameter_type(field, hint),
        help=help_text,
        show_default=default is not None,
        metavar=None if choices_of(field, hint) else _metavar(hint),
    )


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def with_effects(command: Command) -> Command:
    """Add `--effect` to a command, and pass it `effects`. With effects, the default view is the
    picture itself. Must be below `with_settings`."""

    @functools.wraps(command)
    def wrapped(*, effect: tuple[str, ...], view: ViewSettings, **values: Any) -> Any:
        for text in effect:  # before anything is opened
            parse_effect(text)
        source = click.get_current_context().get_parameter_source("view")
        if effect and source is ParameterSource.DEFAULT:
            view = dataclasses.replace(view, view="none")
        return command(view=view, effects=effect, **values)

    return click.option(
        "--effect",
        metavar="NAME=VALUE",
        multiple=True,
        help=f"Change the picture: {_effects()}. Can be repeated.",
    )(wrapped)


def _effects() -> str:
    """The registered effects, those with the same kind of value together."""
    names: dict[str, list[str]] = {}
    for kind in EFFECTS.values():
        names.setdefault(kind.value, []).append(kind.name)
    return "; ".join(f"{', '.join(of_value)}={value}" for value, of_value in names.items())


def _plain(hint: Any) -> Any:
    """Strip `| None` from a type."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _parameter_type(field: dataclasses.Field[Any], hint: Any) -> Any:
    plain, name = _plain(hint), field.name
    choices = choices_of(field, plain)
    if choices:
        return SpelledChoice(choices, option=name)
    if name in ("start", "end"):
        return Seconds()
    if name == "device":
        return Device()
    return Place() if name == "model" else plain


def _metavar(hint: Any) -> str:
    return {int: "N", float: "X"}.get(_plain(hint), "TEXT")


def with_options_named(message: str) -> str:
    """Replace the `fields` in a library's message with command-line options."""
    names = {field.name for group in _groups(Settings) for field in dataclasses.fields(group)}

    def option(match: re.Match[str]) -> str:
        name = match[1]
        if name in _OTHER_NAMES:
            return _OTHER_NAMES[name]
        is_option = name in names or name in _MORE_OPTIONS
        return "--" + name.replace("_", "-") if is_option else match[0]

    return re.sub(r"`(\w+)`", option, message)


def _groups(base: type[Settings]) -> list[type[Settings]]:
    return [group for child in base.__subclasses__() for group in (child, *_groups(child))]

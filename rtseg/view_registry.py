"""The views by name, for `ViewSettings`, `--view` and `render`."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from rtseg.errors import SettingError, listed

ViewFunction = Callable[..., Any]
"""Draws a view: `(image, segmentation, chosen, *, …) -> picture`.

It gets the frame's image, uint8 (height, width, 3) RGB, which it must not change; the segmentation;
and the classes to show (`rtseg.views.selection.Chosen`). It returns a new picture. Of the settings
it gets those that it has keyword-only parameters for, see `OPTIONS`.
"""

OPTIONS = ("opacity", "invert", "feather", "background")
"""The fields of `ViewSettings` that a view can ask for. The background arrives as RGB, or as None
for transparency."""


@dataclass(frozen=True, kw_only=True)
class ViewKind:
    """A view's entry in the registry.

    Attributes:
        name: its name.
        draw: the function.
        options: those of `OPTIONS` that it asks for.
        shows_colours: whether it shows the classes' colours, so that a legend is useful.
        uses_soft_masks: whether its edges come from soft masks if the segmentation has them.
        hides_people: whether it hides people's identities, so that a file's tags are dropped too.
        is_wide: whether its pictures are twice as wide as the frame.
    """

    name: str
    draw: ViewFunction
    options: tuple[str, ...]
    shows_colours: bool = False
    uses_soft_masks: bool = False
    hides_people: bool = False
    is_wide: bool = False


_views: dict[str, ViewKind] = {}

F = TypeVar("F", bound=ViewFunction)


def register_view(name: str, **properties: bool) -> Callable[[F], F]:
    """Make a function a view: `@register_view("grey-elsewhere")`.

    `ViewSettings`, `render`, `--view` and the help text then include it. It replaces an earlier
    view of that name.

    Args:
        name: lower-case letters, digits and `-`.
        properties: those of `ViewKind` that are true: `shows_colours`, `uses_soft_masks`,
            `hides_people`, `is_wide`.

    Raises:
        SettingError: the name is malformed, or the function asks for an unknown option.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise SettingError(f"a view's name is {name!r}; allowed: lower-case letters, digits and -")

    def register(function: F) -> F:
        parameters = inspect.signature(function).parameters.values()
        options = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        unknown = [option for option in options if option not in OPTIONS]
        if unknown:
            raise SettingError(
                f"view {name}: asks for {listed(unknown)}; allowed: {listed(OPTIONS)}"
            )
        _views[name] = ViewKind(name=name, draw=function, options=options, **properties)
        return function

    return register


def views() -> Mapping[str, ViewKind]:
    """Every view, in the order of the help text."""
    importlib.import_module("rtseg.views")  # registers the built-in ones
    return MappingProxyType(_views)


def view_kind(name: str) -> ViewKind:
    """The view of a name.

    Raises:
        SettingError: there is none.
    """
    kind = views().get(name)
    if kind is None:
        raise SettingError(f"`view`: {name!r} is unknown; allowed: {listed(views())}")
    return kind


def views_of_equal_size(name: str) -> list[str]:
    """The names of the views whose pictures have the same size as this one's."""
    is_wide = view_kind(name).is_wide
    return [kind.name for kind in views().values() if kind.is_wide == is_wide]

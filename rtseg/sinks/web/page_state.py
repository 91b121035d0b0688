"""The page's state beside the picture, and the requests that it may send."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtseg.errors import SettingError, listed
from rtseg.labels import LabelSet
from rtseg.settings import ViewSettings
from rtseg.sinks.base import Event, Key, ViewChange
from rtseg.view_registry import views_of_equal_size

KEYS: tuple[Key, ...] = ("snapshot", "record", "pause", "hud")
"""The actions of the page's buttons; a page cannot end the run."""

_EFFECT = re.compile(
    r"[a-z]{1,20}=(#[0-9a-fA-F]{6}(:[0-9.]{1,6})?|[0-9.]{1,6}|blur(:[0-9.]{1,6})?)"
)

_CHANGEABLE = ("view", "opacity", "classes", "effects", "invert", "legend")


@dataclass(frozen=True, kw_only=True)
class PageState:
    """A run's state, as shown on the page.

    Attributes:
        settings: the current view settings; None if they cannot be changed.
        frames_per_second, dropped, reconnects: the run's statistics.
        backend: the backend's description for people.
        status: the source's current problem, or "".
        notices: messages about what a button just did.
        is_paused, is_recording: whether the run is paused, or being recorded.
        effects: the available effects, and how their values are written.
        chosen_effects: the current effects as `NAME=VALUE`.
    """

    settings: ViewSettings | None = None
    frames_per_second: float = 0.0
    dropped: int = 0
    reconnects: int = 0
    backend: str = ""
    status: str = ""
    notices: Sequence[str] = ()
    is_paused: bool = False
    is_recording: bool = False
    effects: Mapping[str, str] = field(default_factory=dict)
    chosen_effects: Sequence[str] = ()


def view_json(state: PageState, labels: LabelSet | None) -> dict[str, Any]:
    """The view settings and the available choices, as JSON for the page."""
    settings = state.settings
    if settings is None:
        return {}
    shown = _shown_ids(settings, labels)
    return {
        "view": settings.view,
        "views": views_of_equal_size(settings.view),
        "opacity": settings.opacity,
        "invert": settings.invert,
        "legend": settings.legend,
        "effects": list(state.chosen_effects),
        "effect_choices": dict(state.effects),
        "classes": [
            {
                "name": labels.names[i],
                "colour": "#{:02x}{:02x}{:02x}".format(*labels.colours[i]),
                "shown": i in shown,
            }
            for i in (labels.foreground if labels is not None else ())
        ]
        if labels is not None
        else [],
    }


def _shown_ids(settings: ViewSettings, labels: LabelSet | None) -> frozenset[int]:
    if labels is None:
        return frozenset()
    return frozenset(labels.select(settings.classes)) if any(settings.classes) else frozenset()


def event_of(request: Mapping[str, Any]) -> Event:
    """Parse a page's request: `{"key": "snapshot"}` or `{"view": {"opacity": 0.3}}`.

    Raises:
        SettingError: the request is invalid; values are checked like those of the command line.
    """
    if set(request) == {"key"}:
        key = request["key"]
        if key not in KEYS:
            raise SettingError(f"key: {str(key)[:40]!r} is unknown; allowed: {listed(KEYS)}")
        return key  # type: ignore[no-any-return]
    if set(request) != {"view"} or not isinstance(request["view"], dict):
        raise SettingError("allowed: key, or view with its fields")
    fields = dict(request["view"])
    for name, value in fields.items():
        if name not in _CHANGEABLE:
            raise SettingError(f"view: {name[:40]!r} is unknown; allowed: {listed(_CHANGEABLE)}")
        if name in ("classes", "effects"):
            if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
                raise SettingError(f"{name}: a list of names is needed")
            fields[name] = tuple(value)
        if name == "effects" and not all(_EFFECT.fullmatch(part) for part in value):
            # Only whoever started the run may name a file.
            raise SettingError("effects: allowed: NAME=VALUE, with colours, numbers or blur")
        if name == "opacity" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise SettingError("opacity: a number is needed")
        if name in ("invert", "legend") and not isinstance(value, bool):
            raise SettingError(f"{name}: true or false is needed")
        if name == "view" and not isinstance(value, str):
            raise SettingError("view: a name is needed")
    ViewSettings(**{name: value for name, value in fields.items() if name != "effects"})
    return ViewChange(fields=fields)

"""Groups of settings: frozen dataclasses whose fields have help texts, choices and ranges.

Command-line options, keys of files and error messages are all derived from the fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rtseg.errors import SettingError, listed


def setting(
    default: Any,
    help_text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: Callable[[], Iterable[str]] | None = None,
) -> Any:
    """Make a dataclass field with help text and a range: `low` and `high` belong to it, `above` and
    `below` do not. `choices` returns the values of a field that is no `Literal`."""
    bounds = {"low": low, "high": high, "above": above, "below": below}
    metadata = {"help": help_text, "choices": choices, **bounds}
    return dataclasses.field(default=default, metadata=metadata)


def choices_of(field: dataclasses.Field[Any], hint: Any) -> tuple[str, ...]:
    """The values that a field of settings may have, if they can be listed; else none.

    Args:
        field: the field.
        hint: its type, as from `get_type_hints`.
    """
    choices = field.metadata["choices"]
    if choices is not None:
        return tuple(choices())
    return get_args(hint) if get_origin(hint) is Literal else ()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The base class of all groups of settings, which validates choices and ranges.

    Raises:
        SettingError: a value is not one of its choices or outside its range.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            name = f"`{field.name}`"
            choices = choices_of(field, hints[field.name])
            if choices and value not in choices:
                raise SettingError(f"{name}: {value!r} is unknown; allowed: {listed(choices)}")
            if value is None or isinstance(value, (str, bool, tuple, Path)):
                continue
            if not _is_within(value, field.metadata):
                allowed = _range(field.metadata)
                raise SettingError(f"{name}: {value} is out of range; allowed: {allowed}")


def _is_within(value: float, bounds: Mapping[str, Any]) -> bool:
    low, high, above, below = (bounds.get(name) for name in ("low", "high", "above", "below"))
    return (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    )


def _range(bounds: Mapping[str, Any]) -> str:
    low, high, above, below = (bounds.get(name) for name in ("low", "high", "above", "below"))
    if above is not None:
        return f"more than {above}" if below is None else f"between {above} and {below}"
    if below is not None:
        return f"{low} to less than {below}"
    if low is None:
        return f"up to {high}"
    return f"{low} or more" if high is None else f"{low} to {high}"

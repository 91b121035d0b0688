"""A file of streams (TOML), read so that what is wrong with one stream is that stream's matter."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rtseg.errors import RtsegError, SettingError, listed
from rtseg.media.urls import local_path
from rtseg.outputs import check_outputs
from rtseg.serving.stream_definition import (
    PATIENT,
    StreamDefinition,
    is_sent,
    virtual_camera_of,
)
from rtseg.settings import (
    CameraSettings,
    EncodeSettings,
    FaceSettings,
    ReadSettings,
    Settings,
    StreamSettings,
    ViewSettings,
    VirtualCameraSettings,
)
from rtseg.sources import SYNTHETIC, is_camera

TABLE = "streams"

_GROUPS: Mapping[str, type[Settings]] = {
    "view": ViewSettings,
    "faces": FaceSettings,
    "read": ReadSettings,
    "camera": CameraSettings,
    "reconnect": StreamSettings,
    "encode": EncodeSettings,
    "virtual": VirtualCameraSettings,
}

_LEFT_OUT = ("overwrite", "subtitles")
"""A server replaces no file, and a live recording has no subtitles."""

_OWN = ("source", "outputs", "effects")

_WHERE = "docs: Many streams"


@dataclass(frozen=True, kw_only=True)
class StreamsFile:
    """What a file asks for.

    Attributes:
        definitions: the streams that can be served, in the file's order.
        problems: what is wrong with each of the others, in one line, by the stream's name.
    """

    definitions: tuple[StreamDefinition, ...]
    problems: Mapping[str, str] = field(default_factory=dict)


def read_streams(
    path: str | Path,
    *,
    view: ViewSettings | None = None,
    faces: FaceSettings | None = None,
) -> StreamsFile:
    """The streams of a file: a table `[streams.NAME]` each, and at the top what all have.

    A stream's table has `source`, `outputs`, `effects`, and any field of the settings. What a
    stream does not say is taken from the top of the file, then from `view` and `faces`. Relative
    names are relative to the file.

    Raises:
        SettingError: the file cannot be read, is no TOML, names no stream, or its top is wrong.
    """
    file = Path(path)
    written = _parsed(file)
    tables = written.pop(TABLE, {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise SettingError(f"{file}: {TABLE} must be tables; write [{TABLE}.NAME] and its settings")
    if not tables:
        raise SettingError(
            f"{file}: holds no stream; write [{TABLE}.NAME] with a source ({_WHERE})"
        )
    base = {"view": view or ViewSettings(), "faces": faces or FaceSettings(), "reconnect": PATIENT}
    common: dict[str, Any] = {name: base.get(name) or group() for name, group in _GROUPS.items()}
    try:
        effects = _effects(written.pop("effects", ()))
        common = _changed(common, written)
    except SettingError as error:
        raise SettingError(f"{file}: {_unquoted(error)}") from None
    definitions: list[StreamDefinition] = []
    problems: dict[str, str] = {}
    for name, table in tables.items():
        try:
            made = _definition(name, {"effects": effects} | table, common, folder=file.parent)
            _check_against(made, definitions)
        except RtsegError as error:
            problems[name] = f"{file}: [{TABLE}.{name}] {_unquoted(error)}"
        else:
            definitions.append(made)
    return StreamsFile(definitions=tuple(definitions), problems=problems)


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingError(f"{file}: is no TOML: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{file}: is no TOML: {error}") from None


def _definition(
    name: str, table: Mapping[str, Any], common: Mapping[str, Any], *, folder: Path
) -> StreamDefinition:
    left = {key.replace("-", "_"): value for key, value in table.items()}
    source = left.pop("source", None)
    if source is None:
        raise SettingError("has no source; give a camera's index, a device, a URL or a file")
    if isinstance(source, bool) or not isinstance(source, str | int) or source == "":
        raise SettingError(f"source: found {source!r}; allowed: a text, or a camera's index")
    outputs = left.pop("outputs", [])
    outputs = [outputs] if isinstance(outputs, str) else outputs
    if not isinstance(outputs, list) or not all(isinstance(o, str) and o for o in outputs):
        raise SettingError(f"outputs: found {outputs!r}; allowed: a list of texts")
    effects = _effects(left.pop("effects"))
    groups = _changed(common, left)
    if effects and "view" not in left and groups["view"].view == ViewSettings().view:
        # an effect is seen on the picture itself
        groups["view"] = dataclasses.replace(groups["view"], view="none")
    return StreamDefinition(
        name=name,
        source=_placed_source(str(source), folder),
        outputs=tuple(_placed_output(output, folder) for output in outputs),
        effects=effects,
        **groups,
    )


def _effects(given: Any) -> tuple[str, ...]:
    from rtseg.effects import parse_effect

    if not isinstance(given, list | tuple) or not all(isinstance(e, str) for e in given):
        raise SettingError(f"effects: found {given!r}; allowed: a list of NAME=VALUE")
    for text in given:
        parse_effect(text)
    return tuple(given)


def _changed(groups: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The groups with these fields replaced, each checked."""
    known = {
        field.name: (name, get_type_hints(group)[field.name])
        for name, group in _GROUPS.items()
        for field in dataclasses.fields(group)
        if field.name not in _LEFT_OUT
    }
    changes: dict[str, dict[str, Any]] = {name: {} for name in groups}
    for written, value in fields.items():
        key = written.replace("-", "_")
        if key not in known:
            near = difflib.get_close_matches(key, [*known, *_OWN], n=1)
            hint = f"did you mean {near[0]}?" if near else f"{_WHERE} lists them"
            raise SettingError(f"{written}: there is no such setting; {hint}")
        name, hint_type = known[key]
        changes[name][key] = _typed(written, value, hint_type)
    return {name: dataclasses.replace(group, **changes[name]) for name, group in groups.items()}


def _typed(name: str, value: Any, hint: Any) -> Any:
    """A value of TOML as the settings hold it.

    Raises:
        SettingError: it is of another kind.
    """
    plain = hint
    if get_origin(hint) is Union or str(hint).endswith("| None"):
        plain = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(plain) is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise SettingError(f"{name}: found {value!r}; allowed: a list of texts")
        return tuple(parts)
    if get_origin(plain) is Literal:
        if not isinstance(value, str):
            raise SettingError(f"{name}: found {value!r}; allowed: {listed(get_args(plain))}")
        return value
    kinds: dict[Any, tuple[tuple[type, ...], str]] = {
        bool: ((bool,), "true or false"),
        int: ((int,), "a whole number"),
        float: ((int, float), "a number"),
        str: ((str,), "a text"),
    }
    allowed, words = kinds[plain]
    if not isinstance(value, allowed) or (isinstance(value, bool) and plain is not bool):
        raise SettingError(f"{name}: found {value!r}; allowed: {words}")
    number: Any = value
    return float(number) if plain is float else number


def _placed_source(source: str, folder: Path) -> str:
    if is_camera(source) or source.startswith(SYNTHETIC) or local_path(source) is None:
        return source
    return str(folder / Path(source).expanduser())


def _placed_output(output: str, folder: Path) -> str:
    if virtual_camera_of(output) is not None or is_sent(output) or output == "-":
        return output
    ending = "/" if output.endswith("/") else ""
    return str(folder / Path(output).expanduser()) + ending


def _check_against(made: StreamDefinition, others: list[StreamDefinition]) -> None:
    """Raise SettingError where an output is a source, or another stream's output."""
    every = [*others, made]
    outputs: dict[str, str | None] = {}
    for one in every:
        for number, output in enumerate(one.outputs):
            # a folder holds a file of each stream's own name
            if not output.endswith("/") and not Path(output).is_dir():
                suffix = f", {number + 1}" if number else ""
                outputs[f"outputs of [{TABLE}.{one.name}]{suffix}"] = output
    check_outputs([str(one.source) for one in every], outputs)


def _unquoted(error: RtsegError) -> str:
    """A message with the names of fields as the file has them."""
    return re.sub(r"`(\w+)`", r"\1", str(error))

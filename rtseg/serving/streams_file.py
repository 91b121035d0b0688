"""Read a file of streams (TOML), so that an error in one stream affects only that stream."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from rtseg.errors import RtsegError, SettingError, listed
from rtseg.labels import LabelSet
from rtseg.media.urls import local_path
from rtseg.outputs import check_outputs
from rtseg.serving.stream_checks import check_stream
from rtseg.serving.stream_definition import (
    PATIENT,
    StreamDefinition,
    is_sent,
    virtual_camera_of,
)
from rtseg.serving.stream_outputs import data_place, picture_place
from rtseg.settings import (
    CameraSettings,
    EncodeSettings,
    FaceSettings,
    ReadSettings,
    StreamSettings,
    ViewSettings,
    VirtualCameraSettings,
)
from rtseg.sources import SYNTHETIC, is_camera
from rtseg.validation import Settings, choices_of
from rtseg.wiring import check_choices

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
"""A server replaces no files, and a live recording has no subtitles."""

_DATA = {"labels": "labels", "json": "records", "coco": "coco"}
"""Data outputs, and their fields in a definition."""

_KEYS = {field: key for key, field in _DATA.items()}

_OWN = ("source", "outputs", *_DATA, "effects")
"""The keys of a stream that are not settings."""

_WHERE = "docs: Many streams"


@dataclass(frozen=True, kw_only=True)
class StreamsFile:
    """The content of a file.

    Attributes:
        definitions: the streams that can be served, in the file's order.
        problems: the problem of each of the others, in one line, by the stream's name.
    """

    definitions: tuple[StreamDefinition, ...]
    problems: Mapping[str, str] = field(default_factory=dict)


def read_streams(
    path: str | Path,
    *,
    view: ViewSettings | None = None,
    faces: FaceSettings | None = None,
    label_set: LabelSet | None = None,
) -> StreamsFile:
    """Read the streams of a file: a table `[streams.NAME]` each, and common settings at the top.

    A stream's table has `source`, `outputs`, `labels`, `json`, `coco`, `effects`, and any field of
    the settings. What a stream does not set is taken from the top of the file, then from `view` and
    `faces`. Relative names are relative to the file.

    Args:
        path: the file.
        view, faces: settings that neither a stream nor the top of the file has.
        label_set: the model's, to check each stream before its run (see `check_stream`); None
            leaves that to the run.

    Raises:
        SettingError: the file cannot be read, is not TOML, names no stream, or its top is invalid.
    """
    file = Path(path)
    written = _parsed(file)
    tables = written.pop(TABLE, {})
    if not isinstance(tables, dict) or (
        tables and not any(isinstance(table, dict) for table in tables.values())
    ):
        raise SettingError(f"{file}: {TABLE} must be tables; write [{TABLE}.NAME] and its settings")
    if not tables:
        others = [name for name, value in written.items() if isinstance(value, dict | list)]
        hint = f" (found [{others[0]}])" if others else ""
        raise SettingError(
            f"{file}: holds no stream{hint}; write [{TABLE}.NAME] with a source ({_WHERE})"
        )
    base = {"view": view or ViewSettings(), "faces": faces or FaceSettings(), "reconnect": PATIENT}
    common: dict[str, Any] = {name: base.get(name) or group() for name, group in _GROUPS.items()}
    try:
        _check_keys(written, _top_keys())
        effects = _effects(written.pop("effects", ()), file.parent)
        common = _changed(common, written)
        if label_set is not None:
            check_choices(label_set, view=common["view"], effects=effects)
    except RtsegError as error:
        raise SettingError(f"{file}: {_unquoted(error)}") from None
    definitions: list[StreamDefinition] = []
    problems: dict[str, str] = {}
    for name, table in tables.items():
        try:
            if not isinstance(table, dict):
                raise SettingError(f"found {table!r}; allowed: a table of its settings")
            _check_keys(table, [*_OWN, *_settings()])
            definition = _definition(name, {"effects": effects} | table, common, folder=file.parent)
            _check_against(definition, definitions)
            if label_set is not None:
                check_stream(definition, label_set)
        except RtsegError as error:
            problems[name] = f"{file}: [{TABLE}.{name}] {_unquoted(error)}"
        else:
            definitions.append(definition)
    return StreamsFile(definitions=tuple(definitions), problems=problems)


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingError(f"{file}: is not TOML: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{file}: is not TOML: {error}") from None


def _definition(
    name: str, table: Mapping[str, Any], common: Mapping[str, Any], *, folder: Path
) -> StreamDefinition:
    left = {key.replace("-", "_"): value for key, value in table.items()}
    source = left.pop("source", None)
    if source is None:
        raise SettingError("has no source; give a camera's index, a device, a URL or a file")
    if isinstance(source, bool) or not isinstance(source, str | int) or source == "":
        raise SettingError(f"source: found {source!r}; allowed: a string, or a camera's index")
    outputs = left.pop("outputs", [])
    outputs = [outputs] if isinstance(outputs, str) else outputs
    if not isinstance(outputs, list) or not all(isinstance(o, str) and o for o in outputs):
        raise SettingError(f"outputs: found {outputs!r}; allowed: a list of strings")
    data: dict[str, Any] = {
        field: _place(key, left.pop(key, None), folder) for key, field in _DATA.items()
    }
    effects = _effects(left.pop("effects"), folder)
    groups = _changed(common, left)
    if effects and "view" not in left and groups["view"].view == ViewSettings().view:
        # an effect is drawn on the picture itself
        groups["view"] = dataclasses.replace(groups["view"], view="none")
    return StreamDefinition(
        name=name,
        source=_placed_source(str(source), folder),
        outputs=tuple(_placed_output(output, folder) for output in outputs),
        effects=effects,
        **data,
        **groups,
    )


def _place(key: str, given: Any, folder: Path) -> str | None:
    """Parse a data output, as in the definition."""
    if given is None:
        return None
    if not isinstance(given, str) or not given:
        raise SettingError(f"{key}: found {given!r}; allowed: the name of a file or folder")
    return _placed_output(given, folder)


def _effects(given: Any, folder: Path) -> tuple[str, ...]:
    from rtseg.effects import parse_effect

    if not isinstance(given, list | tuple) or not all(isinstance(e, str) for e in given):
        raise SettingError(f"effects: found {given!r}; allowed: a list of NAME=VALUE")
    effects = tuple(_placed_effect(text, folder) for text in given)
    for text in effects:
        parse_effect(text)
    return effects


def _placed_effect(effect: str, folder: Path) -> str:
    """The effect, with a background's file relative to the folder."""
    name, sign, value = effect.partition("=")
    if name.strip().lower() == "background" and (folder / value.strip()).is_file():
        return f"{name}{sign}{folder / value.strip()}"
    return effect


def _settings() -> dict[str, tuple[str, dataclasses.Field[Any], Any]]:
    """Each setting that a file may have: its group, the field, and its type."""
    return {
        field.name: (name, field, get_type_hints(group)[field.name])
        for name, group in _GROUPS.items()
        for field in dataclasses.fields(group)
        if field.name not in _LEFT_OUT
    }


def _top_keys() -> list[str]:
    return [TABLE, "effects", *_settings()]


def _check_keys(table: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Raise SettingError for a key that is not allowed, naming the closest ones."""
    for written, value in table.items():
        key = written.replace("-", "_")
        if key in allowed:
            continue
        is_group = isinstance(value, dict) and bool(value)
        near = difflib.get_close_matches(key.lower(), allowed, n=1, cutoff=0.8 if is_group else 0.6)
        if key in _OWN:
            hint = f"it belongs in [{TABLE}.NAME]"
        elif is_group and not near:
            hint = f"settings are not grouped: write {listed(value)} without a table"
        else:
            hint = f"did you mean {near[0]}? " if near else ""
            hint += f"allowed: {listed(allowed)}"
        raise SettingError(f"{written}: there is no such setting; {hint}")


def _changed(groups: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Replace these fields in the groups, and validate each group."""
    known = _settings()
    changes: dict[str, dict[str, Any]] = {name: {} for name in groups}
    for written, value in fields.items():
        key = written.replace("-", "_")
        name, field, hint = known[key]
        changes[name][key] = _typed(written, value, field, hint)
    return {name: dataclasses.replace(group, **changes[name]) for name, group in groups.items()}


def _typed(name: str, value: Any, field: dataclasses.Field[Any], hint: Any) -> Any:
    """Convert a value from TOML to a setting's type.

    Raises:
        SettingError: it has another type.
    """
    if isinstance(value, dict):
        raise SettingError(f"{name}: is a setting, not a table; write {name} = …")
    plain = hint
    if get_origin(hint) is Union or str(hint).endswith("| None"):
        plain = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(plain) is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise SettingError(f"{name}: found {value!r}; allowed: a list of strings")
        return tuple(parts)
    choices = choices_of(field, plain)
    if choices:
        if not isinstance(value, str):
            raise SettingError(f"{name}: found {value!r}; allowed: {listed(choices)}")
        return value
    kinds: dict[Any, tuple[tuple[type, ...], str]] = {
        bool: ((bool,), "true or false"),
        int: ((int,), "a whole number"),
        float: ((int, float), "a number"),
        str: ((str,), "a string"),
    }
    allowed, words = kinds[plain]
    if not isinstance(value, allowed) or (isinstance(value, bool) and plain is not bool):
        raise SettingError(f"{name}: found {value!r}; allowed: {words}")
    number: Any = value
    return float(number) if plain is float else number


def _placed_source(source: str, folder: Path) -> str:
    path = local_path(source)
    if path is None or is_camera(source) or source.startswith(SYNTHETIC):
        return source
    return str(folder / path)


def _placed_output(output: str, folder: Path) -> str:
    if virtual_camera_of(output) is not None or is_sent(output) or output == "-":
        return output
    ending = "/" if output.endswith("/") else ""
    return str(folder / Path(output).expanduser()) + ending


def _check_against(definition: StreamDefinition, others: list[StreamDefinition]) -> None:
    """Raise SettingError if an output is a source, or another stream's output."""
    every = [*others, definition]
    outputs: dict[str, str | None] = {}
    for one in every:
        for number, output in enumerate(one.outputs):
            suffix = f", {number + 1}" if number else ""
            outputs[f"outputs of [{TABLE}.{one.name}]{suffix}"] = picture_place(one, output)
        for kind, output in one.data.items():
            outputs[f"{_KEYS[kind]} of [{TABLE}.{one.name}]"] = data_place(one, kind, output)
    check_outputs([str(one.source) for one in every], outputs)


def _unquoted(error: RtsegError) -> str:
    """Replace fields in a message with the file's keys."""
    keys = {**_KEYS, "effect": "effects"}
    return re.sub(r"`(\w+)`", lambda match: keys.get(match[1], match[1]), str(error))

"""`--config FILE`: read options from a TOML file as defaults for the command line."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click

from rtseg.errors import SettingError, listed


def read_configuration(path: str) -> dict[str, dict[str, Any]]:
    """Read the options of each command, by click's names, for a context's `default_map`.

    Top-level keys apply to every command with such an option; keys in a table ([video], [camera],
    [image], [bench] …) apply to that command only, and take precedence.

    Raises:
        SettingError: the file does not exist or is not TOML, or an option is unknown.
    """
    import tomllib

    from rtseg.cli import COMMANDS

    file = Path(path).expanduser()
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"--config {path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"--config {path}: is not TOML: {error}") from None
    tables = {name: value for name, value in written.items() if isinstance(value, dict)}
    common = {name: value for name, value in written.items() if name not in tables}
    unknown = sorted(set(tables) - set(COMMANDS))
    if unknown:
        raise SettingError(
            f"--config {path}: [{unknown[0]}] is not a command; allowed: {listed(COMMANDS)}"
        )
    if not written:
        return {}
    options = {name: _options(name) for name in COMMANDS}
    for name, value in common.items():
        if not any(_key(name) in parameters for parameters in options.values()):
            raise SettingError(f"--config {path}: {name} is not an option of any command")
        _check_value(path, name, value)
    for command, table in tables.items():
        for name, value in table.items():
            if _key(name) not in options[command]:
                raise SettingError(
                    f"--config {path}: {name} is not an option of `rtseg {command}`; "
                    f"`rtseg {command} --help` lists them"
                )
            _check_value(path, name, value)
    return {
        command: {
            str(parameters[_key(name)].name): _as_typed(parameters[_key(name)], value)
            for name, value in (common | tables.get(command, {})).items()
            if _key(name) in parameters
        }
        for command, parameters in options.items()
    }


def _key(name: str) -> str:
    return name.lower().replace("_", "-")


def _as_typed(option: click.Option, value: Any) -> Any:
    """The value as one would type it; a list becomes comma-separated text or several options."""
    if isinstance(value, list) and not option.multiple:
        return ",".join(map(str, value))
    if option.multiple and not isinstance(value, list):
        return [value]
    return value


def _options(command: str) -> dict[str, click.Option]:
    """A command's options by their spelling on the command line."""
    click_command = importlib.import_module(f"rtseg.cli.{command}").command
    return {
        spelling.lstrip("-"): parameter
        for parameter in click_command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for spelling in parameter.opts
        if spelling.startswith("--")
    }


def _check_value(path: str, name: str, value: Any) -> None:
    is_plain = isinstance(value, (str, int, float, bool))
    if not is_plain and not (
        isinstance(value, list) and all(isinstance(part, (str, int, float)) for part in value)
    ):
        raise SettingError(
            f"--config {path}: {name} is {value!r}; allowed: a string, a number, true or false, "
            "or a list of strings"
        )

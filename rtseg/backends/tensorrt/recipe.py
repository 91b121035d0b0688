"""Recipes: the settings of a TensorRT engine's build, one TOML file each, shipped in `engines/`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from rtseg.backends.batching import BATCHES
from rtseg.errors import SettingError, listed
from rtseg.export.onnx_file import MAX_BATCH
from rtseg.validation import Settings, setting

EnginePrecision = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True, kw_only=True)
class EngineRecipe(Settings):
    """The settings of one engine's build. The fields are the keys of its TOML file.

    Raises:
        SettingError: a value is not allowed.
    """

    name: str = setting("", "the engine's name")
    model: str = setting(
        "face-parts", "the model: face-parts (built in), or a .safetensors or .onnx file"
    )
    precision: EnginePrecision = setting("fp16", "the engine's precision")
    largest_batch: int = setting(8, "the largest batch size", low=1, high=MAX_BATCH)
    workspace_mib: int = setting(1024, "memory for trying and running kernels", low=16, high=65536)
    optimisation_level: int = setting(3, "how long TensorRT searches for kernels", low=0, high=5)
    least_agreement: float = setting(
        0.995,
        "share of labels that must equal FP32's; otherwise it is built in FP32",
        low=0,
        high=1,
    )
    expected_seconds: int = setting(60, "the approximate duration of a build", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.largest_batch not in BATCHES:
            raise SettingError(
                f"engine recipe {self.name!r}: largest_batch is {self.largest_batch}; "
                f"allowed: {listed(BATCHES)}"
            )


def shipped_recipes() -> dict[str, EngineRecipe]:
    """The recipes shipped with rtseg, by name."""
    return {
        path.stem: _parse(path.read_text(encoding="utf-8"), name=path.stem, folder=path.parent)
        for path in sorted(_folder().glob("*.toml"))
    }


def read_recipe(name: str) -> EngineRecipe:
    """Find a shipped recipe by name, read a recipe file, or make the plain recipe of a model file.

    Raises:
        SettingError: it is none of these, or contains a value that is not allowed.
    """
    path = Path(name)
    if path.suffix in (".safetensors", ".onnx"):
        return EngineRecipe(name=path.stem, model=name)
    if path.suffix == ".toml":
        try:
            return _parse(path.read_text(encoding="utf-8"), name=path.stem, folder=path.parent)
        except OSError as error:
            raise SettingError(f"{path}: cannot be read: {error.strerror}") from None
    shipped = shipped_recipes()
    if name not in shipped:
        raise SettingError(
            f"unknown engine recipe {name!r}; allowed: {listed(shipped)}, a .toml recipe, or a "
            ".safetensors or .onnx model"
        )
    return shipped[name]


def checkout() -> Path | None:
    """The checkout that rtseg runs from; None if it is installed."""
    folder = Path(__file__).resolve().parents[3]
    is_one = (folder / "engines").is_dir() and (folder / "pyproject.toml").is_file()
    return folder if is_one else None


def _folder() -> Path:
    """The folder of recipes: `engines/` in a checkout, a package of its own in the wheel."""
    source = checkout()
    if source is not None:
        return source / "engines"
    installed = resources.files("rtseg.engine_recipes")
    assert isinstance(installed, Path)
    return installed


def _parse(text: str, *, name: str, folder: Path) -> EngineRecipe:
    allowed = {field.name: field for field in fields(EngineRecipe) if field.name != "name"}
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"engine recipe {name!r}: not a TOML file: {error}") from None
    for key, value in values.items():
        if key == "usual_batch":
            raise SettingError(
                f"engine recipe {name!r}: usual_batch was removed, since each batch size has "
                "kernels tuned for it alone; leave it out"
            )
        if key not in allowed:
            raise SettingError(
                f"engine recipe {name!r}: unknown key {key!r}; allowed: {listed(allowed)}"
            )
        value_type = type(allowed[key].default)
        if (
            not isinstance(value, (int, float) if value_type is float else value_type)
            or value is True
        ):
            raise SettingError(
                f"engine recipe {name!r}: {key} must be of type {value_type.__name__}; "
                f"found {value!r}"
            )
    model = values.get("model", "face-parts")
    if Path(model).suffix:
        values["model"] = str(folder / model)
    return EngineRecipe(name=name, **values)

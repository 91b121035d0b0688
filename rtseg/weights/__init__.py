"""The shipped model, inside the package: works from a checkout and from an installed wheel."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from rtseg.errors import ModelError, listed

_SUFFIX = ".safetensors"

DEFAULT_CHECKPOINT = f"face-parts{_SUFFIX}"
FINDER_CHECKPOINT = f"face-finder{_SUFFIX}"


def default_checkpoint_path() -> Path:
    """Where the shipped face-part model lies.

    Raises:
        ModelError: the package was installed without it, or as a zip file.
    """
    path = resources.files(__name__) / DEFAULT_CHECKPOINT
    if not isinstance(path, Path) or not path.is_file():
        raise ModelError(
            f"the shipped model {DEFAULT_CHECKPOINT} is not in this installation ({path}); "
            "reinstall rtseg from its wheel, or give a model of your own with `model`"
        )
    return path


def shipped_models() -> tuple[str, ...]:
    """The names of the models inside the package, sorted."""
    folder = resources.files(__name__)
    return tuple(
        sorted(
            entry.name.removesuffix(_SUFFIX)
            for entry in folder.iterdir()
            if entry.name.endswith(_SUFFIX)
        )
    )


def model_path(model: str | Path) -> Path:
    """The file of a model that was given by a shipped one's name or by a path, `~` resolved.

    Raises:
        ModelError: it looks like a name, and there is neither such a model nor such a file.
    """
    path = Path(model).expanduser()
    if path.suffix or len(path.parts) != 1 or path.exists():
        return path
    shipped = resources.files(__name__) / f"{path.name}{_SUFFIX}"
    if isinstance(shipped, Path) and shipped.is_file():
        return shipped
    raise ModelError(
        f"{model}: there is no such model; allowed: {listed(shipped_models())}, or a file's path"
    )


def finder_checkpoint_path() -> Path | None:
    """Where the shipped finder network lies; None where there is none."""
    path = resources.files(__name__) / FINDER_CHECKPOINT
    return path if isinstance(path, Path) and path.is_file() else None

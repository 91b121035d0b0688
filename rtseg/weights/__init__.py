"""The shipped model, inside the package: works from a checkout and from an installed wheel."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from rtseg.errors import ModelError

DEFAULT_CHECKPOINT = "face-parts.safetensors"


def default_checkpoint_path() -> Path:
    """Where the shipped face-part model lies.

    Raises:
        ModelError: the package was installed without it, or as a zip file.
    """
    path = resources.files(__name__) / DEFAULT_CHECKPOINT
    if not isinstance(path, Path) or not path.is_file():
        raise ModelError(
            f"the shipped model {DEFAULT_CHECKPOINT} is not in this installation ({path}); "
            "reinstall rtseg from its wheel, or give a model of your own with --model"
        )
    return path

"""rtseg: real-time face-part segmentation of cameras and videos.

    from rtseg import Segmenter, open_source

    with Segmenter() as segmenter, open_source("talk.mp4") as source:
        for item in source:
            ...

Everything below is loaded when it is first asked for, so that `import rtseg` is quick and needs
none of the heavy libraries.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtseg.backends import open_backend
    from rtseg.backends.base import Backend
    from rtseg.checkpoint import Checkpoint, read_checkpoint
    from rtseg.errors import RtsegError
    from rtseg.frames import Box, Face, Frame, Packet, Segmentation
    from rtseg.labels import HELEN, LabelSet
    from rtseg.segmenter import Segmenter
    from rtseg.settings import FaceSettings
    from rtseg.sources import open_source
    from rtseg.timing import StageTimes

    __version__: str

_HOMES = {
    "Backend": "rtseg.backends.base",
    "Box": "rtseg.frames",
    "Checkpoint": "rtseg.checkpoint",
    "Face": "rtseg.frames",
    "FaceSettings": "rtseg.settings",
    "Frame": "rtseg.frames",
    "HELEN": "rtseg.labels",
    "LabelSet": "rtseg.labels",
    "Packet": "rtseg.frames",
    "RtsegError": "rtseg.errors",
    "Segmentation": "rtseg.frames",
    "Segmenter": "rtseg.segmenter",
    "StageTimes": "rtseg.timing",
    "open_backend": "rtseg.backends",
    "open_source": "rtseg.sources",
    "read_checkpoint": "rtseg.checkpoint",
}

__all__ = [
    "HELEN",
    "Backend",
    "Box",
    "Checkpoint",
    "Face",
    "FaceSettings",
    "Frame",
    "LabelSet",
    "Packet",
    "RtsegError",
    "Segmentation",
    "Segmenter",
    "StageTimes",
    "__version__",
    "open_backend",
    "open_source",
    "read_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("rtseg")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

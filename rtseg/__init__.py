"""rtseg: real-time face-part segmentation of cameras and videos.

    from rtseg import process_video, stream

    process_video("talk.mp4", "blurred.mp4", view="blur")

    for frame, segmentation in stream("0"):
        hair = segmentation.mask("hair")

Everything is loaded on first use, so that `import rtseg` is fast and needs none of the heavy
libraries.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtseg.backends import open_backend
    from rtseg.backends.base import Backend
    from rtseg.checkpoint import Checkpoint, read_checkpoint
    from rtseg.errors import RtsegError, TruncatedError
    from rtseg.frames import Box, Face, Frame, Packet, Segmentation
    from rtseg.labels import HELEN, LabelSet
    from rtseg.media.info import SourceInfo
    from rtseg.process import open_run, process_video, stream
    from rtseg.runtime.pipeline import Pipeline
    from rtseg.runtime.statistics import Progress, RunSummary
    from rtseg.segmenter import Segmenter
    from rtseg.settings import (
        CameraSettings,
        EncodeSettings,
        FaceSettings,
        ModelSettings,
        ReadSettings,
        StreamSettings,
        ViewSettings,
    )
    from rtseg.sinks import open_sink
    from rtseg.sinks.base import Sink
    from rtseg.sinks.memory import MemorySink
    from rtseg.sinks.registry import register_sink
    from rtseg.sources import open_source
    from rtseg.sources.base import Source
    from rtseg.timing import StageTimes
    from rtseg.views import render
    from rtseg.wiring import Run

    __version__: str

_HOMES = {
    "Backend": "rtseg.backends.base",
    "Box": "rtseg.frames",
    "CameraSettings": "rtseg.settings",
    "Checkpoint": "rtseg.checkpoint",
    "EncodeSettings": "rtseg.settings",
    "Face": "rtseg.frames",
    "FaceSettings": "rtseg.settings",
    "Frame": "rtseg.frames",
    "HELEN": "rtseg.labels",
    "LabelSet": "rtseg.labels",
    "MemorySink": "rtseg.sinks.memory",
    "ModelSettings": "rtseg.settings",
    "Packet": "rtseg.frames",
    "Pipeline": "rtseg.runtime.pipeline",
    "Progress": "rtseg.runtime.statistics",
    "ReadSettings": "rtseg.settings",
    "RtsegError": "rtseg.errors",
    "Run": "rtseg.wiring",
    "RunSummary": "rtseg.runtime.statistics",
    "Segmentation": "rtseg.frames",
    "Segmenter": "rtseg.segmenter",
    "Sink": "rtseg.sinks.base",
    "Source": "rtseg.sources.base",
    "SourceInfo": "rtseg.media.info",
    "StageTimes": "rtseg.timing",
    "StreamSettings": "rtseg.settings",
    "TruncatedError": "rtseg.errors",
    "ViewSettings": "rtseg.settings",
    "open_backend": "rtseg.backends",
    "open_run": "rtseg.process",
    "open_sink": "rtseg.sinks",
    "open_source": "rtseg.sources",
    "process_video": "rtseg.process",
    "read_checkpoint": "rtseg.checkpoint",
    "register_sink": "rtseg.sinks.registry",
    "render": "rtseg.views",
    "stream": "rtseg.process",
}

__all__ = [
    "HELEN",
    "Backend",
    "Box",
    "CameraSettings",
    "Checkpoint",
    "EncodeSettings",
    "Face",
    "FaceSettings",
    "Frame",
    "LabelSet",
    "MemorySink",
    "ModelSettings",
    "Packet",
    "Pipeline",
    "Progress",
    "ReadSettings",
    "RtsegError",
    "Run",
    "RunSummary",
    "Segmentation",
    "Segmenter",
    "Sink",
    "Source",
    "SourceInfo",
    "StageTimes",
    "StreamSettings",
    "TruncatedError",
    "ViewSettings",
    "__version__",
    "open_backend",
    "open_run",
    "open_sink",
    "open_source",
    "process_video",
    "read_checkpoint",
    "register_sink",
    "render",
    "stream",
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

"""Parse option values, including other tools' notations: times, positions, devices, codecs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "codec": {
        "libx264": "h264",
        "x264": "h264",
        "avc": "h264",
        "libx265": "hevc",
        "x265": "hevc",
        "h265": "hevc",
        "libsvtav1": "av1",
        "libaom-av1": "av1",
        "libvpx-vp9": "vp9",
    },
    "backend": {"pytorch": "torch", "trt": "tensorrt", "ov": "openvino"},
    "precision": {"half": "fp16", "float16": "fp16", "float32": "fp32", "bfloat16": "bf16"},
    "view": {"segmentation": "overlay", "outline": "contour", "original": "none"},
}
"""Other tools' names for choices of an option."""

_NO_DEVICES = {
    r"mps|metal": "use --device cpu on a Mac",
    r"npu|vpu|xpu|intel.*": "--device cpu uses OpenVINO",
    r"rocm|hip|dml|directml|vulkan": "--device cpu runs everywhere",
}
"""Advice for other tools' device names."""


class SpelledChoice(click.Choice[str]):
    """A choice that also accepts other tools' names for its values, in any case."""

    def __init__(self, choices: Sequence[str], *, option: str) -> None:
        super().__init__(choices, case_sensitive=False)
        self._option = option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Convert a word to a choice."""
        word = str(value).strip().lower()
        spelled = SPELLINGS.get(self._option, {}).get(word, word)
        return str(super().convert(spelled, param, ctx))


class Device(click.ParamType):  # type: ignore[type-arg]
    """A device: `auto`, `cpu`, `cuda`, `cuda:1`, or a GPU's number alone."""

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Convert to the device's canonical name."""
        word = re.sub(r"^(gpu|nvidia)(?=$|:)", "cuda", str(value).strip().lower())
        if re.fullmatch(r"[0-9]+", word):
            word = f"cuda:{word}"
        for pattern, advice in _NO_DEVICES.items():
            if re.fullmatch(pattern, word):
                self.fail(f"{value!r} is not supported; {advice}", param, ctx)
        return word


class Seconds(click.ParamType):  # type: ignore[type-arg]
    """A time: `62.5`, `62.5s`, `01:02.5` or `00:01:02.5`."""

    name = "time"

    _CLOCK = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d*)?|\.\d+)s?")

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        match = self._CLOCK.fullmatch(value.strip())
        if (
            match is None
            or (match[2] and float(match[3]) >= 60)
            or (match[1] and int(match[2]) >= 60)
        ):
            self.fail(
                f"{value!r} is not a time; allowed: seconds (62.5) or a clock time (00:01:02.5)",
                param,
                ctx,
            )
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return 3600 * hours + 60 * minutes + seconds


class Place(click.ParamType):  # type: ignore[type-arg]
    """A file name in which `~` and file:// are resolved; other URLs are unchanged."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Convert to a path or a URL."""
        return resolved_place(str(value))


def resolved_place(text: str) -> str:
    """See `Place`."""
    from rtseg.media.urls import STANDARD_INPUT, local_path, scheme_of

    if text == STANDARD_INPUT or not (text.startswith("~") or scheme_of(text) == "file"):
        return text
    path = local_path(text)
    return text if path is None else str(path)

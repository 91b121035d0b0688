"""Change a live view on request of a web page: its settings and its effects."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from rtseg.backends.base import Backend
from rtseg.effects import EFFECTS, ColourMemory, Effect, parse_effect
from rtseg.frames import Frame, Image, Segmentation
from rtseg.segmenter import Segmenter
from rtseg.views import check_view
from rtseg.views.live import LiveView


class ViewControls:
    """Changes a live view between two frames, completely or not at all.

    Args:
        view: the view to change.
        segmenter: makes the labels that are drawn; soft masks are switched on with the first
            effect. None if another function makes the labels; effects are then not available.
    """

    def __init__(self, view: LiveView, segmenter: Segmenter | None) -> None:
        self._view = view
        self._segmenter = segmenter
        self._first_effects = view.effects
        self.effects: tuple[str, ...] = ()
        self.choices: Mapping[str, str] = (
            {} if segmenter is None else {name: kind.value for name, kind in EFFECTS.items()}
        )

    def change(self, fields: Mapping[str, Any]) -> None:
        """Change what is drawn from the next frame on.

        Args:
            fields: fields of `ViewSettings`, and `effects`: the complete list of `NAME=VALUE`.

        Raises:
            SettingError: a value cannot be drawn; nothing was changed.
        """
        changes = dict(fields)
        effects = changes.pop("effects", None)
        settings = dataclasses.replace(self._view.settings, **changes)
        if self._segmenter is not None:
            check_view(settings, self._segmenter.label_set, alpha=False)
        if effects is not None:
            self._choose_effects(tuple(effects))
        self._view.settings = settings

    def _choose_effects(self, chosen: tuple[str, ...]) -> None:
        if self._segmenter is None:
            return
        effects = [parse_effect(text) for text in chosen]
        for effect in effects:
            effect.check(self._segmenter.label_set)
        self._segmenter.soft = self._segmenter.soft or bool(effects)
        self._view.effects = (*self._first_effects, *(_on_stream(effect) for effect in effects))
        self.effects = chosen


def _on_stream(effect: Effect) -> Callable[[Frame, Segmentation], Image]:
    """Wrap an effect so that it starts with the first frame that has soft masks."""
    memory = ColourMemory()

    def changed(frame: Frame, segmentation: Segmentation) -> Image:
        if segmentation.soft is None:
            return frame.image  # it was in the pipeline before the effect was requested
        if frame.discontinuity:
            memory.reset()
        memory.begin(float(frame.pts_seconds))
        picture = frame.image.copy()
        effect.change(picture, segmentation, memory)
        return picture

    return changed


def described(backend: Backend) -> str:
    """Describe a backend for people: `openvino on cpu, bf16`."""
    return f"{backend.name} on {backend.device}, {backend.precision}"

"""Apply a stream's effects in order, keeping each effect's state between frames."""

from __future__ import annotations

from collections.abc import Iterable

from rtseg.effects.colour_memory import ColourMemory
from rtseg.effects.registry import Effect, parse_effect
from rtseg.frames import Frame, Image, Segmentation
from rtseg.labels import LabelSet


class EffectChain:
    """Applies effects to the frames of a stream, in order, on the calling thread.

    Args:
        effects: `NAME=VALUE` strings or `Effect`s.

    Raises:
        SettingError: an effect is unknown, or its value is invalid.
    """

    def __init__(self, effects: Iterable[str | Effect]) -> None:
        self.effects = tuple(
            parse_effect(effect) if isinstance(effect, str) else effect for effect in effects
        )
        self._memory = ColourMemory()

    def check(self, label_set: LabelSet) -> None:
        """Reject effects that a model with these labels does not support, before a run starts.

        Raises:
            SettingError: the model has no such part.
            SourceError: a background file cannot be read.
        """
        for effect in self.effects:
            effect.check(label_set)

    def __call__(self, frame: Frame, segmentation: Segmentation) -> Image:
        """Apply the effects to a frame; returns a new picture, uint8 (height, width, 3) RGB.

        Raises:
            SettingError: the segmentation has no soft masks.
        """
        if frame.discontinuity:
            self._memory.reset()
        self._memory.begin(float(frame.pts_seconds))
        picture = frame.image.copy()
        for effect in self.effects:
            effect.change(picture, segmentation, self._memory)
        return picture

"""Apply a stream's effects in order, keeping each effect's state between frames."""

from __future__ import annotations

from collections.abc import Iterable

from rtseg.effects.colour_memory import ColourMemory
from rtseg.effects.registry import Effect, parse_effect
from rtseg.frames import Frame, Image, Segmentation
from rtseg.labels import LabelSet


class EffectChain:
    """Applies effects to the frames of a stream, in order, on whichever thread calls it.

    Args:
        effects: as `NAME=VALUE`, or made.

    Raises:
        SettingError: an effect is unknown, or its value is not one of its.
    """

    def __init__(self, effects: Iterable[str | Effect]) -> None:
        self.effects = tuple(
            parse_effect(effect) if isinstance(effect, str) else effect for effect in effects
        )
        self._memory = ColourMemory()

    def check(self, label_set: LabelSet) -> None:
        """Refuse what a model with these labels cannot have, before a run starts.

        Raises:
            SettingError: the model labels no such part.
            SourceError: a background's file cannot be read.
        """
        for effect in self.effects:
            effect.check(label_set)

    def __call__(self, frame: Frame, segmentation: Segmentation) -> Image:
        """The frame's picture with the effects: a new one, uint8 (height, width, 3) RGB.

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

"""The effects by name, for `--effect NAME=VALUE` and `apply_effects`."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeVar

from rtseg.effects.background import (
    blur_background_in,
    paint_background_in,
    replace_background_in,
)
from rtseg.effects.brighten import brighten_eyes_in, whiten_teeth_in
from rtseg.effects.colour_memory import ColourMemory
from rtseg.effects.parts import ids_of
from rtseg.effects.recolour import STYLES, recolour
from rtseg.effects.skin import smooth_skin_in
from rtseg.errors import SettingError, listed
from rtseg.frames import Image, Segmentation
from rtseg.labels import Colour, LabelSet

DEFAULT_BLUR = 12.0
"""Default blur of a background in pixels."""


class Effect(ABC):
    """Changes a part of a face in the picture."""

    @abstractmethod
    def change(
        self, picture: Image, segmentation: Segmentation, memory: ColourMemory | None
    ) -> None:
        """Apply the effect in place.

        Args:
            picture: uint8 (height, width, 3) RGB, of the segmentation's size; changed.
            segmentation: with soft masks.
            memory: a stream's colour statistics; None for a still.

        Raises:
            SettingError: there are no soft masks, or the model has no such part.
        """

    @abstractmethod
    def check(self, label_set: LabelSet) -> None:
        """Raise SettingError if a model with these labels does not support this effect."""


@dataclass(frozen=True, kw_only=True)
class Recolour(Effect):
    """Recolours lips, hair or brows.

    Attributes:
        part: `lips`, `hair` or `brows`.
        colour: RGB 0..255.
        strength: 0 (nothing) to 1.
    """

    part: str
    colour: Colour
    strength: float

    def __post_init__(self) -> None:
        _check_part(self.part, STYLES)
        _check_strength(self.part, self.strength)

    def change(
        self, picture: Image, segmentation: Segmentation, memory: ColourMemory | None
    ) -> None:
        """See `Effect.change`."""
        recolour(
            picture,
            segmentation,
            self.colour,
            part=self.part,
            style=STYLES[self.part],
            strength=self.strength,
            memory=memory,
        )

    def check(self, label_set: LabelSet) -> None:
        """See `Effect.check`."""
        ids_of(label_set, self.part)


class RetouchFunction(Protocol):
    """Changes a picture in place, as `Effect.change` does, with a strength from 0 to 1."""

    def __call__(
        self,
        picture: Image,
        segmentation: Segmentation,
        *,
        strength: float,
        memory: ColourMemory | None,
    ) -> None:
        """See `Effect.change`."""


_retouches: dict[str, tuple[str, RetouchFunction]] = {
    "skin": ("skin", smooth_skin_in),
    "teeth": ("teeth", whiten_teeth_in),
    "eyes": ("eyes", brighten_eyes_in),
}
"""Each one's part of the face, and its function."""


@dataclass(frozen=True, kw_only=True)
class Retouch(Effect):
    """Smooths skin, whitens teeth or brightens eyes, or applies an effect of `register_effect`.

    Attributes:
        part: `skin`, `teeth` or `eyes`, or the registered effect's name.
        strength: 0 (nothing) to 1.
    """

    part: str
    strength: float

    def __post_init__(self) -> None:
        _check_part(self.part, _retouches)
        _check_strength(self.part, self.strength)

    def change(
        self, picture: Image, segmentation: Segmentation, memory: ColourMemory | None
    ) -> None:
        """See `Effect.change`."""
        _, function = _retouches[self.part]
        function(picture, segmentation, strength=self.strength, memory=memory)

    def check(self, label_set: LabelSet) -> None:
        """See `Effect.check`."""
        part, _ = _retouches[self.part]
        ids_of(label_set, part)


@dataclass(frozen=True, kw_only=True)
class Background(Effect):
    """Replaces the background; exactly one of the attributes is set.

    Attributes:
        blur: standard deviation in pixels.
        colour: RGB 0..255.
        file: a picture's path, read when it is first needed.
    """

    blur: float | None = None
    colour: Colour | None = None
    file: str | None = None

    @cached_property
    def _behind(self) -> Image:
        from rtseg.sources.images import read_image

        return read_image(Path(self.file or ""))

    def change(
        self, picture: Image, segmentation: Segmentation, memory: ColourMemory | None
    ) -> None:
        """See `Effect.change`."""
        if self.blur is not None:
            blur_background_in(picture, segmentation, radius=self.blur)
        elif self.colour is not None:
            paint_background_in(picture, segmentation, colour=self.colour)
        else:
            replace_background_in(picture, segmentation, behind=self._behind)

    def check(self, label_set: LabelSet) -> None:
        """See `Effect.check`. Reads the file, so that a damaged one is noticed before a run."""
        if label_set.background is None:
            raise SettingError(
                f"`effect` background: the label set {label_set.name!r} has no background"
            )
        if self.file is not None:
            self._behind.shape  # noqa: B018


def _check_part(part: str, allowed: Iterable[str]) -> None:
    if part not in allowed:
        raise SettingError(f"{part!r} cannot take this effect; allowed: {listed(allowed)}")


def _check_strength(part: str, strength: float) -> None:
    if not 0 <= strength <= 1:
        raise SettingError(f"{part}: strength {strength} is out of range; allowed: 0 to 1")


@dataclass(frozen=True, kw_only=True)
class EffectKind:
    """An effect's entry in the registry.

    Attributes:
        name: its name.
        value: the syntax of its value.
        summary: what it does, in a few words.
        parse: makes the effect from the value; raises ValueError with the reason.
    """

    name: str
    value: str
    summary: str
    parse: Callable[[str], Effect]


F = TypeVar("F", bound=RetouchFunction)


def register_effect(name: str, *, part: str, summary: str) -> Callable[[F], F]:
    """Make a function an effect: `@register_effect("tan", part="skin", summary="tanned skin")`.

    `--effect tan=0.5`, `apply_effects` and the help text then include it. It replaces an earlier
    effect of that name.

    Args:
        name: lower-case letters, digits and `-`.
        part: the part of a face that it changes, so that a model without it is refused: one of
            the other effects' (`skin`), or a class of the model.
        summary: what it does, in a few words.

    Raises:
        SettingError: the name is malformed.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise SettingError(
            f"an effect's name is {name!r}; allowed: lower-case letters, digits and -"
        )

    def register(function: F) -> F:
        _retouches[name] = part, function
        _effects[name] = EffectKind(name=name, value=_SHARE, summary=summary, parse=_retouch(name))
        return function

    return register


def parse_effect(text: str) -> Effect:
    """Parse an effect given as `NAME=VALUE`.

    Raises:
        SettingError: the name is unknown, or the value is invalid.
    """
    name, sign, value = text.partition("=")
    name = name.strip().lower()
    kind = EFFECTS.get(name)
    if kind is None:
        raise SettingError(f"`effect`: {name!r} is unknown; allowed: {listed(EFFECTS)}")
    if not sign or not value.strip():
        raise SettingError(f"`effect` {name}: has no value; allowed: {name}={kind.value}")
    try:
        return kind.parse(value.strip())
    except ValueError as error:
        raise SettingError(f"`effect` {text}: {error}; allowed: {name}={kind.value}") from None


def colour_of(text: str) -> Colour:
    """Parse a colour: `#rrggbb`, `#rgb` or a CSS name.

    Raises:
        ValueError: it is not a colour.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        raise ValueError(f"{text!r} is not a colour") from None
    return red, green, blue


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not 0 <= value <= 1:
        raise ValueError(f"{text} is outside 0 to 1")
    return value


def _recolour(part: str, strength: float) -> Callable[[str], Effect]:
    def parse(value: str) -> Effect:
        colour, _, share = value.partition(":")
        return Recolour(
            part=part, colour=colour_of(colour), strength=_share(share) if share else strength
        )

    return parse


def _retouch(part: str) -> Callable[[str], Effect]:
    return lambda value: Retouch(part=part, strength=_share(value))


def _background(value: str) -> Effect:
    if value == "blur" or re.fullmatch(r"blur:[^/\\]*", value):
        text = value.partition(":")[2]
        try:
            radius = float(text) if text else DEFAULT_BLUR
        except ValueError:
            raise ValueError(f"{text!r} is not a number of pixels") from None
        if not (math.isfinite(radius) and 1 <= radius <= 200):
            raise ValueError(f"a blur of {text} pixels is outside 1 to 200")
        return Background(blur=radius)
    path = Path(value).expanduser()
    if path.exists():
        return Background(file=str(path))
    try:
        return Background(colour=colour_of(value))
    except ValueError:
        raise ValueError(f"{value!r} is neither a colour nor an existing file") from None


_COLOUR = "#rrggbb[:STRENGTH]"
_SHARE = "0..1"

_effects = {
    kind.name: kind
    for kind in (
        EffectKind(
            name="lips", value=_COLOUR, summary="recolour lips", parse=_recolour("lips", 0.7)
        ),
        EffectKind(
            name="hair", value=_COLOUR, summary="recolour hair", parse=_recolour("hair", 0.9)
        ),
        EffectKind(
            name="brows",
            value=_COLOUR,
            summary="recolour brows",
            parse=_recolour("brows", 0.7),
        ),
        EffectKind(name="skin", value=_SHARE, summary="smoother skin", parse=_retouch("skin")),
        EffectKind(name="teeth", value=_SHARE, summary="whiter teeth", parse=_retouch("teeth")),
        EffectKind(name="eyes", value=_SHARE, summary="brighter eyes", parse=_retouch("eyes")),
        EffectKind(
            name="background",
            value="blur[:PIXELS] | #rrggbb | FILE",
            summary="another background",
            parse=_background,
        ),
    )
}

EFFECTS: Mapping[str, EffectKind] = MappingProxyType(_effects)
"""Every effect, in the order of the help text."""

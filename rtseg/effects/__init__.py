"""Effects: pure functions that change a picture based on its segmentation.

    from rtseg import Segmenter
    from rtseg.effects import apply_effects

    with Segmenter(soft=True) as segmenter:
        result = segmenter(image)
        picture = apply_effects(image, result, ["lips=#b0122a:0.75", "skin=0.5"])

They need soft masks. The functions are independent of earlier calls; for a stream use an
`EffectChain`, which keeps the parts' colours steady from frame to frame.
"""

from __future__ import annotations

from collections.abc import Iterable

from rtseg.effects.chain import EffectChain
from rtseg.effects.colour_memory import ColourMemory
from rtseg.effects.registry import (
    EFFECTS,
    Background,
    Effect,
    EffectKind,
    Recolour,
    Retouch,
    colour_of,
    parse_effect,
    register_effect,
)
from rtseg.errors import SettingError
from rtseg.frames import Image, Segmentation, check_image

__all__ = [
    "EFFECTS",
    "Background",
    "ColourMemory",
    "Effect",
    "EffectChain",
    "EffectKind",
    "Recolour",
    "Retouch",
    "apply_effects",
    "brighten_eyes",
    "colour_of",
    "parse_effect",
    "recolour_brows",
    "recolour_hair",
    "recolour_lips",
    "register_effect",
    "replace_background",
    "smooth_skin",
    "whiten_teeth",
]


def apply_effects(
    image: Image,
    segmentation: Segmentation,
    effects: Iterable[str | Effect],
    *,
    memory: ColourMemory | None = None,
) -> Image:
    """Apply effects to a picture, one after the other.

    Args:
        image: uint8 (height, width, 3) RGB; not modified.
        segmentation: the picture's segmentation with soft masks (`Segmenter(soft=True)`).
        effects: `NAME=VALUE` strings or `Effect`s.
        memory: shared by all frames of a stream; the caller must call `ColourMemory.begin`.

    Returns:
        A new picture, uint8 (height, width, 3) RGB.

    Raises:
        SettingError: an effect is unknown, the model has no such part, or the segmentation has no
            soft masks or the wrong size.
        SourceError: a background file cannot be read.
    """
    check_image(image)
    if segmentation.labels.shape != image.shape[:2]:
        raise SettingError(
            f"labels are {segmentation.labels.shape} for a picture of {image.shape[:2]}; "
            "both must be the same (height, width)"
        )
    picture = image.copy()
    for effect in effects:
        parsed = parse_effect(effect) if isinstance(effect, str) else effect
        parsed.change(picture, segmentation, memory)
    return picture


def recolour_lips(
    image: Image, segmentation: Segmentation, colour: str, *, strength: float = 0.7
) -> Image:
    """Recolour the lips (`#rrggbb` or a CSS name); teeth and highlights are preserved."""
    return _recoloured(image, segmentation, "lips", colour, strength)


def recolour_hair(
    image: Image, segmentation: Segmentation, colour: str, *, strength: float = 0.9
) -> Image:
    """Recolour hair, even dark hair (`#rrggbb` or a CSS name)."""
    return _recoloured(image, segmentation, "hair", colour, strength)


def recolour_brows(
    image: Image, segmentation: Segmentation, colour: str, *, strength: float = 0.7
) -> Image:
    """Recolour the brows (`#rrggbb` or a CSS name)."""
    return _recoloured(image, segmentation, "brows", colour, strength)


def smooth_skin(image: Image, segmentation: Segmentation, *, strength: float = 0.5) -> Image:
    """Even out patches of skin; pores, lips, eyes and brows are preserved."""
    return apply_effects(image, segmentation, [Retouch(part="skin", strength=strength)])


def whiten_teeth(image: Image, segmentation: Segmentation, *, strength: float = 0.5) -> Image:
    """Make teeth lighter and less yellow; tongue and gums are preserved."""
    return apply_effects(image, segmentation, [Retouch(part="teeth", strength=strength)])


def brighten_eyes(image: Image, segmentation: Segmentation, *, strength: float = 0.3) -> Image:
    """Lighten the eyes; pupils and lashes stay dark."""
    return apply_effects(image, segmentation, [Retouch(part="eyes", strength=strength)])


def replace_background(image: Image, segmentation: Segmentation, background: str) -> Image:
    """Replace the background: `blur`, `blur:PIXELS`, a colour, or a picture's path."""
    return apply_effects(image, segmentation, [f"background={background}"])


def _recoloured(
    image: Image, segmentation: Segmentation, part: str, colour: str, strength: float
) -> Image:
    try:
        effect = Recolour(part=part, colour=colour_of(colour), strength=strength)
    except ValueError as error:
        raise SettingError(f"{error}; allowed: #rrggbb or a CSS name") from None
    return apply_effects(image, segmentation, [effect])

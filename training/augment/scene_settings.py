"""Settings for the training views of a face-part model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rtseg.errors import SettingError
from training.augment import transforms


@dataclass(frozen=True, kw_only=True)
class SceneSettings:
    """The composition of training views.

    Attributes:
        size: side of the square views in pixels.
        composites, negatives, partial: shares of the views that are composites, face-free
            pictures, and partially labelled pictures; the rest shows one labelled picture.
        scale_min, scale_max: range of a labelled picture's scale in such a view.
        as_is: share of those views that show the picture unmodified or mirrored.
        head_crops: share of the rest that is cropped around the head.
        own_scale: share of the remaining views whose scale stays within an eighth of the original.
        degrees, rolled: the largest roll, and the share of views that may have it; others have at
            most 8 degrees.
        upside: share of views with an arbitrary roll.
        stretch: largest change of aspect ratio, as a logarithm.
        smallest_head, largest_head: heights of heads in a composite, in pixels.
        sharp: share of transformed pictures with cubic interpolation; others are bilinear.
        occluded: share of views with something painted in front of a face.
        necklaces, earrings: shares of heads that get drawn ones if they wear none.
        dyed: share of heads whose clothes get another colour.
        photometric: changes of colour.
    """

    size: int = 256
    composites: float = 0.33
    negatives: float = 0.09
    partial: float = 0.0
    scale_min: float = 0.6
    scale_max: float = 2.0
    as_is: float = 0.0
    head_crops: float = 0.45
    own_scale: float = 0.4
    degrees: float = 35.0
    rolled: float = 0.55
    upside: float = 0.0
    stretch: float = 0.25
    sharp: float = 0.0
    smallest_head: float = 12.0
    largest_head: float = 200.0
    occluded: float = 0.25
    necklaces: float = 0.0
    earrings: float = 0.0
    dyed: float = 0.0
    photometric: transforms.PhotometricSettings = field(
        default_factory=transforms.PhotometricSettings
    )

    def __post_init__(self) -> None:
        shares = (self.composites, self.negatives, self.partial)
        if min(shares) < 0 or sum(shares) > 1:
            raise SettingError(f"the shares of views must be 0..1 and sum to at most 1: {shares}")
        if not 0 < self.scale_min <= self.scale_max:
            raise SettingError(f"scales must be positive: {self.scale_min}..{self.scale_max}")
        if not 4 <= self.smallest_head <= self.largest_head:
            raise SettingError(
                f"head heights must be 4 pixels or more: {self.smallest_head}..{self.largest_head}"
            )

    def is_sharp(self, rng: np.random.Generator) -> bool:
        """Draw whether a picture is interpolated cubically."""
        return self.sharp > 0 and rng.random() < self.sharp

    def roll(self, rng: np.random.Generator) -> float:
        """Draw a picture's roll in degrees."""
        if self.upside and rng.random() < self.upside:
            return float(rng.uniform(-180, 180))
        wide = rng.random() < self.rolled
        return float(rng.uniform(-1, 1)) * (self.degrees if wide else 8.0)

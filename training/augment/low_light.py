"""Simulate poor light: what a camera, and the stretching of `rtseg.geometry.exposure`, leave of it.

In the dark, in haze and against the light, a face is left with few grey levels, and the sensor's
noise and the codec's blocks are large beside them. Stretching brings back the brightness, with the
noise. Where the picture was small, that noise is as coarse as the features of the face.
"""

from __future__ import annotations

import cv2
import numpy as np

from rtseg.frames import Box, Image
from rtseg.geometry.crop import Crop
from rtseg.geometry.exposure import evened

_LEAST_LIGHT, _MOST_LIGHT = 0.04, 0.5
_MOST_NOISE = 40.0  # grey levels, after stretching
_COARSEST = 4.0  # pixels of the view for one of the sensor
_HAZE = 0.4  # share of the views
_BLOCKS = 0.4
_COARSEST_BLOCKS = 90.0  # below a JPEG quality of 100, where there is full light


def in_low_light(image: Image, rng: np.random.Generator) -> Image:
    """The picture as poor light would leave it, stretched again; labels are unaffected.

    Args:
        image: uint8 (height, width, 3); not modified.
        rng: decides how poor.
    """
    height, width = image.shape[:2]
    light = float(np.exp(rng.uniform(np.log(_LEAST_LIGHT), np.log(_MOST_LIGHT))))
    level = rng.uniform(0, 200) * (1 - light) if rng.random() < _HAZE else 0.0
    noise = light * rng.uniform(0, _MOST_NOISE)
    coarseness = rng.uniform(1, _COARSEST) if rng.random() < 0.7 else 1.0
    size = max(8, round(width / coarseness)), max(8, round(height / coarseness))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    dark = small * np.float32(light) + np.float32(level)
    dark += noise * rng.standard_normal(small.shape, np.float32)
    seen = np.clip(np.rint(dark), 0, 255).astype(np.uint8)
    if rng.random() < _BLOCKS:
        quality = int(100 - rng.uniform(5, _COARSEST_BLOCKS) * light**0.5)
        _, data = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, quality])
        seen = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    seen = np.asarray(cv2.resize(seen, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    whole = Crop(box=Box(left=0, top=0, right=width, bottom=height))
    return evened(seen, whole, height=height, width=width)

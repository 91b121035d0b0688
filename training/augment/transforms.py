"""Joint transforms of an image and its labels, and what cameras do to colours.

Everything works on RGB uint8 images and uint8 label maps with OpenCV; geometry is one affine
warp, colour is one table look-up a channel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.errors import SettingError
from rtseg.frames import Image, LabelMap
from rtseg.labels import IGNORED, LabelSet

Matrix = npt.NDArray[np.float32]
"""An affine map from source to target pixels, float32 (2, 3), in OpenCV's pixel coordinates."""


def flip_table(
    label_set: LabelSet, *, sets: Mapping[int, int] = MappingProxyType({})
) -> npt.NDArray[np.uint8]:
    """The ids after a horizontal flip, uint8 (256,): left and right swap, 255 stays.

    `sets` maps the values of sets of classes that know left from right to their mirror images.
    """
    table = np.arange(256, dtype=np.uint8)
    for first, second in label_set.flip_pairs:
        table[first], table[second] = second, first
    for value, mirrored in sets.items():
        table[value] = mirrored
    return table


def flip(
    image: Image, labels: LabelMap, table: npt.NDArray[np.uint8], *, shift: int = 0
) -> tuple[Image, LabelMap]:
    """The mirror image.

    Args:
        table: of `flip_table`.
        shift: pixels by which the mirrored labels move to the right. Labels that were sampled at
            the pixels' left edges lie half a pixel to the right of the picture; mirrored, they
            would lie half a pixel to the left of it, unless they move by one.
    """
    mirrored = table[labels[:, ::-1]]
    if shift:
        mirrored = np.concatenate((mirrored[:, :1].repeat(shift, 1), mirrored[:, :-shift]), axis=1)
    return np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(mirrored)


def affine(
    *,
    source_centre: tuple[float, float],
    target_centre: tuple[float, float],
    scale: float,
    degrees: float = 0.0,
    stretch: float = 1.0,
) -> Matrix:
    """Rotate and scale about a source point, and move it to a target point.

    Args:
        source_centre, target_centre: (x, y), pixels.
        scale: target pixels per source pixel.
        degrees: anticlockwise as seen.
        stretch: x is scaled by its root, y by the inverse of it.
    """
    angle = math.radians(degrees)
    scale_x, scale_y = scale * math.sqrt(stretch), scale / math.sqrt(stretch)
    cosine, sine = math.cos(angle), math.sin(angle)
    linear = np.array(
        [[cosine * scale_x, sine * scale_y], [-sine * scale_x, cosine * scale_y]], np.float64
    )
    offset = np.array(target_centre) - linear @ np.array(source_centre)
    return np.column_stack([linear, offset]).astype(np.float32)


def warp(
    image: Image,
    labels: LabelMap,
    matrix: Matrix,
    *,
    size: int,
    border: int = cv2.BORDER_CONSTANT,
    border_label: int = IGNORED,
    label_offset: float = 0.0,
    sharp: bool = False,
) -> tuple[Image, LabelMap]:
    """Both through one affine map to (size, size): the image bilinear, the labels nearest.

    Shrinking goes through halved pictures first, so that it averages as a camera does.

    Args:
        border_label: of what the labels do not reach.
        label_offset: pixels by which the labels lie to the right of and below what they label;
            in the target they lie where the picture is.
        sharp: the image cubic instead, which blurs less.
    """
    offset = np.full(2, label_offset, np.float32)
    warped_labels = _mapped(
        labels,
        np.column_stack([matrix[:, :2], matrix[:, 2] - matrix[:, :2] @ offset]),
        size=size,
        how=cv2.INTER_NEAREST,
        border=cv2.BORDER_CONSTANT,
        border_value=border_label,
    )
    matrix = matrix.copy()
    while min(image.shape[:2]) >= 8 and math.sqrt(abs(np.linalg.det(matrix[:, :2]))) < 0.6:
        height, width = image.shape[0] // 2, image.shape[1] // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        # the halved picture's pixel p lies at 2 p + 0.5 of the whole one
        matrix[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5], np.float32)
        matrix[:, :2] *= 2
    how = cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
    warped = _mapped(image, matrix, size=size, how=how, border=border, border_value=0)
    return warped, warped_labels


def _mapped(
    source: npt.NDArray[np.uint8],
    matrix: Matrix,
    *,
    size: int,
    how: int,
    border: int,
    border_value: int,
) -> npt.NDArray[np.uint8]:
    straight = cv2.warpAffine(
        source,
        matrix,
        (size, size),
        flags=how,
        borderMode=border,
        borderValue=(border_value,) * 3,
    )
    return np.asarray(straight, np.uint8)


@dataclass(frozen=True, kw_only=True)
class PhotometricSettings:
    """How likely each change is, 0..1, and how strong it may be.

    Attributes:
        colour: gain of each channel, gamma, saturation.
        gamma: largest exponent; the smallest is its inverse.
        grey: no colour at all.
        enlarge: shrunk and enlarged again, as a small face in a frame is.
        blur: defocus or motion.
        noise: a sensor's; up to `noise_level` grey levels.
        jpeg: compressed at a quality of 15..70.
        shade: light that differs from place to place.
    """

    colour: float = 0.8
    gamma: float = 2.2
    grey: float = 0.08
    enlarge: float = 0.2
    blur: float = 0.18
    noise: float = 0.25
    noise_level: float = 18.0
    jpeg: float = 0.2
    shade: float = 0.0

    def __post_init__(self) -> None:
        for name in ("colour", "grey", "enlarge", "blur", "noise", "jpeg", "shade"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingError(f"{name} is a probability, 0..1; found {getattr(self, name)}")
        if self.gamma < 1:
            raise SettingError(f"gamma is the largest exponent, 1 or more; found {self.gamma}")


def colour_shift(image: Image, rng: np.random.Generator, *, gamma: float) -> Image:
    """Another exposure, gamma, white balance and saturation."""
    exponent = gamma ** rng.uniform(-1, 1) if rng.random() < 0.5 else 1.15 ** rng.uniform(-1, 1)
    gains = rng.uniform(0.65, 1.35) * rng.uniform(0.87, 1.15, 3)
    offset = rng.uniform(-0.12, 0.12)
    ramp = np.linspace(0, 1, 256, dtype=np.float32) ** exponent
    table = (ramp[:, None] * gains + offset).clip(0, 1) * 255
    shifted: Image = cv2.LUT(image, table.astype(np.uint8)[None])
    saturation = rng.uniform(0.3, 1.4)
    if abs(saturation - 1) > 0.1:
        grey = cv2.cvtColor(cv2.cvtColor(shifted, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        shifted = cv2.addWeighted(shifted, saturation, grey, 1 - saturation, 0)
    return shifted


def shaded(image: Image, rng: np.random.Generator) -> Image:
    """Lit from one side, or through leaves: brighter here, darker there, by up to a half or so."""
    height, width = image.shape[:2]
    nodes = int(rng.integers(2, 6))
    light = np.exp(0.35 * rng.standard_normal((nodes, nodes))).astype(np.float32)
    field = cv2.resize(light, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((image * field[:, :, None]).clip(0, 255), np.uint8)


def motion_kernel(length: int, degrees: float) -> npt.NDArray[np.float32]:
    """A line of `length` pixels through the middle of a square kernel, summing to one."""
    kernel = np.zeros((length, length), np.float32)
    middle = (length - 1) / 2
    dx, dy = math.cos(math.radians(degrees)) * middle, math.sin(math.radians(degrees)) * middle
    ends = [(round(middle - dx), round(middle - dy)), (round(middle + dx), round(middle + dy))]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)


def photometric(image: Image, rng: np.random.Generator, settings: PhotometricSettings) -> Image:
    """What lenses, sensors, light and codecs do; the labels stay as they are."""
    height, width = image.shape[:2]
    if rng.random() < settings.colour:
        image = colour_shift(image, rng, gamma=settings.gamma)
    if settings.shade and rng.random() < settings.shade:
        image = shaded(image, rng)
    if rng.random() < settings.grey:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < settings.enlarge:
        factor = rng.uniform(1.3, 5.0)
        small = (max(8, round(width / factor)), max(8, round(height / factor)))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        smooth = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
        image = cv2.resize(image, (width, height), interpolation=smooth)
    if rng.random() < settings.blur:
        if rng.random() < 0.5:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 3.0))
        else:
            kernel = motion_kernel(int(rng.integers(3, 16)), rng.uniform(0, 180))
            image = cv2.filter2D(image, -1, kernel)
    if rng.random() < settings.noise:
        noise = rng.standard_normal((height, width, 3), np.float32)
        noise *= rng.uniform(2, settings.noise_level)
        image = cv2.add(image, noise, dtype=cv2.CV_8U)
    if rng.random() < settings.jpeg:
        quality = int(rng.integers(15, 71))
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return image

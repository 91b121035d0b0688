"""Transform images together with their labels, and simulate cameras' effects on colour.

Everything works on RGB uint8 images and uint8 label maps with OpenCV. Geometry is one affine warp,
and colour is one table lookup per channel.
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
    """The ids after a horizontal flip, uint8 (256,): left and right are swapped, 255 is kept.

    `sets` maps sets of classes that distinguish left and right to their mirror images.
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
    """Mirror an image and its labels.

    Args:
        table: the result of `flip_table`.
        shift: pixels by which to shift the mirrored labels to the right. Labels sampled at the
            pixels' left edges are half a pixel to the right of the picture; mirrored, they would
            be half a pixel to its left unless shifted by one.
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
    """Make an affine map that rotates and scales about a source point and moves it to a target.

    Args:
        source_centre, target_centre: (x, y) in pixels.
        scale: target pixels per source pixel.
        degrees: rotation, anticlockwise on the screen.
        stretch: x is scaled by its square root, y by the inverse.
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
    """Warp an image (bilinear) and its labels (nearest) with one affine map to (size, size).

    To shrink, the picture is halved first, so that pixels are averaged as in a camera.

    Args:
        border_label: the label outside the source.
        label_offset: pixels by which the source's labels are shifted to the right and down; this
            is corrected in the target.
        sharp: interpolate the image cubically, which blurs less.
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
        # pixel p of the halved picture is at 2 p + 0.5 of the original
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
    """The probability, 0..1, and strength of each change of colour.

    Attributes:
        colour: change each channel's gain, gamma and saturation.
        gamma: largest exponent; the smallest is its inverse.
        grey: remove colour.
        enlarge: shrink and enlarge again, like a small face in a frame.
        blur: defocus or motion blur.
        noise: sensor noise of up to `noise_level` grey levels.
        jpeg: JPEG compression at a quality of 15..70.
        shade: uneven light.
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
    """Change exposure, gamma, white balance and saturation."""
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
    """Simulate light from one side or through leaves, varying brightness by up to about a half."""
    height, width = image.shape[:2]
    nodes = int(rng.integers(2, 6))
    light = np.exp(0.35 * rng.standard_normal((nodes, nodes))).astype(np.float32)
    field = cv2.resize(light, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((image * field[:, :, None]).clip(0, 255), np.uint8)


def motion_kernel(length: int, degrees: float) -> npt.NDArray[np.float32]:
    """A square kernel with a centred line of `length` pixels, summing to one."""
    kernel = np.zeros((length, length), np.float32)
    middle = (length - 1) / 2
    dx, dy = math.cos(math.radians(degrees)) * middle, math.sin(math.radians(degrees)) * middle
    ends = [(round(middle - dx), round(middle - dy)), (round(middle + dx), round(middle + dy))]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)


def photometric(image: Image, rng: np.random.Generator, settings: PhotometricSettings) -> Image:
    """Simulate the effects of lenses, sensors, light and codecs; labels are unaffected."""
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

"""A synthetic clip of a moving face, for the demo and the benchmarks.

The face is scikit-image's portrait of the astronaut Eileen Collins (NASA, public domain). Its edges
are blended into a generated studio backdrop, and a virtual camera pans, zooms, tilts and shakes
over both.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from rtseg.errors import SettingError
from rtseg.frames import Box, Frame, Image
from rtseg.media.info import SourceInfo
from rtseg.sources.base import Source

PERIOD_SECONDS = 10.0
"""Seconds of one loop of the camera path. Shorter clips speed it up; longer ones repeat it."""

HEAD = Box(left=152, top=15, right=302, bottom=184)
"""The head with its hair, in portrait pixels."""

_PORTRAIT_PIXELS = 512
_FEATHER = 46
"""Portrait pixels over which its edges blend into the backdrop."""

_LARGEST_SCALE = 2.0
"""The most pixels per portrait pixel that are rendered; more would show no more detail."""

_POSES = np.array(
    [  # fraction of the loop; the head's height and centre, as fractions of the frame
        (0.00, 0.12, 0.36, 0.46),
        (0.12, 0.15, 0.58, 0.44),
        (0.30, 0.40, 0.45, 0.46),
        (0.42, 0.70, 0.52, 0.50),
        (0.51, 0.64, 0.45, 0.47),
        (0.60, 0.42, 0.56, 0.46),
        (0.67, 0.38, 1.14, 0.47),
        (0.75, 0.36, 1.14, 0.46),
        (0.82, 0.34, 0.58, 0.46),
        (0.92, 0.19, 0.42, 0.45),
        (1.00, 0.12, 0.36, 0.46),
    ]
)

Matrix = npt.NDArray[np.float64]
"""Affine map from portrait pixels to frame pixels, (2, 3)."""


class MovingFaceSource(Source):
    """A moving face, identical on every run.

    The head with its hair grows from 12% of the frame's height to 70%. Once per loop it leaves the
    frame on the right for about one second in ten.

    Args:
        width, height: frame size in pixels.
        frame_count: number of frames.
        frame_rate: frames per second; a tick is one frame.

    Raises:
        SettingError: the size is below 32 pixels, or the count or rate is not positive.
    """

    def __init__(
        self,
        *,
        width: int = 1280,
        height: int = 720,
        frame_count: int = 300,
        frame_rate: Fraction = Fraction(30),
    ) -> None:
        if min(width, height) < 32 or frame_count < 1 or frame_rate <= 0:
            raise SettingError(
                f"a moving face of {width}x{height}, {frame_count} frames, {frame_rate} a second; "
                "allowed: 32x32 or more, 1 frame or more, a positive rate"
            )
        rate = Fraction(frame_rate)
        self.info = SourceInfo(
            name="moving face",
            width=width,
            height=height,
            time_base=1 / rate,
            frame_rate=rate,
            frame_count=frame_count,
            duration_seconds=float(frame_count / rate),
        )
        self._transforms = _camera_path(width, height, frame_count, rate)
        self._level_of = [_level(matrix) for matrix in self._transforms]
        self._levels = _paint_levels(self._transforms, self._level_of, width, height)
        self._closed = False

    def __iter__(self) -> Iterator[Frame]:
        for index in range(len(self._transforms)):
            if self._closed:
                return
            yield Frame(
                image=self.image(index),
                index=index,
                pts=index,
                time_base=self.info.time_base,
                duration=1,
                captured_ns=time.monotonic_ns(),
            )

    def image(self, index: int) -> Image:
        """Render one frame: uint8 (height, width, 3) RGB."""
        import cv2

        level = self._levels[self._level_of[index]]
        to_frame = self._transforms[index]
        # Level pixels to portrait pixels, then on to the frame; centres lie at +0.5 in all three.
        scale, (left, top) = level.scale, level.origin
        matrix = to_frame.copy()
        matrix[:, :2] /= scale
        matrix[:, 2] += to_frame[:, :2] @ np.array((left, top), np.float64)
        matrix[:, 2] += matrix[:, :2] @ np.array((0.5, 0.5)) - 0.5
        size = (self.info.width, self.info.height)
        # with an unused fourth channel it takes half as long, with the same result
        turned = cv2.warpAffine(
            level.image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        return np.asarray(cv2.cvtColor(turned, cv2.COLOR_RGBA2RGB), np.uint8)

    def face_box(self, index: int) -> Box | None:
        """The true box around the head with its hair, in frame pixels; may extend past an edge.

        None where no part of it is inside the frame.
        """
        box = _head_box(self._transforms[index])
        outside = (
            box.right <= 0
            or box.bottom <= 0
            or box.left >= self.info.width
            or box.top >= self.info.height
        )
        return None if outside else box

    def close(self) -> None:
        """Stop delivering frames."""
        self._closed = True


def _camera_path(width: int, height: int, count: int, rate: Fraction) -> list[Matrix]:
    """The affine map of each frame."""
    seconds = np.arange(count) / float(rate)
    round_seconds = min(PERIOD_SECONDS, count / float(rate))
    size, across, down = _poses_at((seconds / round_seconds) % 1.0)
    shake = 0.0022 * height / 720
    across = across + shake * (np.sin(23.1 * seconds) + 0.7 * np.sin(35.7 * seconds + 1.0))
    down = down + 1.6 * shake * (np.sin(27.9 * seconds + 0.5) + 0.7 * np.sin(41.2 * seconds))
    tilt = np.radians(9.0 * np.sin(0.97 * seconds + 0.3) + 4.0 * np.sin(2.3 * seconds))
    centre = np.array(HEAD.centre)
    matrices = []
    for i in range(count):
        scale = size[i] * height / HEAD.height
        cosine, sine = scale * math.cos(tilt[i]), scale * math.sin(tilt[i])
        turn = np.array(((cosine, -sine), (sine, cosine)))
        target = np.array((across[i] * width, down[i] * height))
        if across[i] > 1.0:  # fully outside, whatever the frame's aspect ratio
            target[0] = width + (across[i] - 1.0) / 0.14 * 0.62 * size[i] * height
        matrices.append(np.column_stack((turn, target - turn @ centre)))
    return matrices


def _poses_at(fractions: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], ...]:
    """Interpolate (head height, centre x, centre y) smoothly between the poses."""
    times, poses = _POSES[:, 0], _POSES[:, 1:].copy()
    poses[:, 0] = np.log(poses[:, 0])
    slopes = np.gradient(poses, times, axis=0)
    slopes[0] = slopes[-1] = 0.0
    at = np.clip(np.searchsorted(times, fractions, side="right") - 1, 0, len(times) - 2)
    span = (times[at + 1] - times[at])[:, None]
    u = (fractions[:, None] - times[at][:, None]) / span
    curve = (
        (2 * u**3 - 3 * u**2 + 1) * poses[at]
        + (u**3 - 2 * u**2 + u) * span * slopes[at]
        + (3 * u**2 - 2 * u**3) * poses[at + 1]
        + (u**3 - u**2) * span * slopes[at + 1]
    )
    return np.exp(curve[:, 0]), curve[:, 1], curve[:, 2]


def _head_box(matrix: Matrix) -> Box:
    """The box around the head's ellipse in the frame."""
    (x, y), scale = matrix[:, :2] @ HEAD.centre + matrix[:, 2], matrix[:, :2]
    half = np.array((HEAD.width / 2, HEAD.height / 2))
    reach = np.sqrt(((scale * half) ** 2).sum(axis=1))
    return Box(
        left=float(x - reach[0]),
        top=float(y - reach[1]),
        right=float(x + reach[0]),
        bottom=float(y + reach[1]),
    )


def _level(matrix: Matrix) -> float:
    """The pre-rendered scale, a power of two, that a frame is best sampled from."""
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    return float(min(_LARGEST_SCALE, 2.0 ** math.ceil(math.log2(0.8 * scale))))


@dataclass(frozen=True, eq=False)
class _Painting:
    """Portrait and backdrop rendered at one scale; `origin` is its corner in portrait pixels."""

    image: npt.NDArray[np.uint8]  # RGBA, opaque
    scale: float
    origin: tuple[int, int]


def _paint_levels(
    transforms: list[Matrix], level_of: list[float], width: int, height: int
) -> dict[float, _Painting]:
    """Render only what the camera sees at each scale."""
    import cv2

    corners = np.array(((0, 0, 1), (width, 0, 1), (0, height, 1), (width, height, 1)), np.float64)
    corners_by_scale: dict[float, list[npt.NDArray[np.float64]]] = {}
    for matrix, scale in zip(transforms, level_of, strict=True):
        back = np.linalg.inv(np.vstack((matrix, (0, 0, 1))))[:2]
        corners_by_scale.setdefault(scale, []).append(corners @ back.T)
    portrait, cover = _portrait()
    glow = _glow(portrait)
    paintings = {}
    for scale, points in corners_by_scale.items():
        everything = np.concatenate(points)
        left, top = (math.floor(v) - 4 for v in everything.min(axis=0))
        right, bottom = (math.ceil(v) + 4 for v in everything.max(axis=0))
        image = _canvas(scale, (left, top, right, bottom), glow)
        _blend_portrait(image, portrait, cover, scale, left, top)
        opaque = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), np.uint8)
        paintings[scale] = _Painting(opaque, scale, (left, top))
    return paintings


def _canvas(
    scale: float,
    bounds: tuple[int, int, int, int],
    glow: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
) -> Image:
    """Render the backdrop with grain over portrait pixels (left, top, right, bottom)."""
    import cv2

    left, top, right, bottom = bounds
    size = (round((right - left) * scale), round((bottom - top) * scale))
    image = cv2.resize(_backdrop(*bounds, glow), size, interpolation=cv2.INTER_LINEAR)
    noise = np.random.default_rng(7).normal(0.0, 1.3, (256, 256)).astype(np.float32)
    for row in range(0, size[1], 256):
        for column in range(0, size[0], 256):
            tile = image[row : row + 256, column : column + 256]
            tile += noise[: tile.shape[0], : tile.shape[1], None]
    # rounds and clips to 0..255
    return np.asarray(cv2.convertScaleAbs(cv2.max(image, 0.0)), np.uint8)


def _blend_portrait(
    image: Image,
    portrait: npt.NDArray[np.float32],
    cover: npt.NDArray[np.float32],
    scale: float,
    left: int,
    top: int,
) -> None:
    """Blend the portrait into a canvas, in place."""
    import cv2

    height, width = image.shape[:2]
    side = round(_PORTRAIT_PIXELS * scale)
    x, y = round(-left * scale), round(-top * scale)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    large = cv2.resize(portrait, (side, side), interpolation=method)
    weight = cv2.resize(cover, (side, side), interpolation=cv2.INTER_LINEAR)[..., None]
    rows = slice(max(0, y), min(height, y + side))
    columns = slice(max(0, x), min(width, x + side))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    inner = (slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x))
    under = image[rows, columns]
    mixed = large[inner] * weight[inner] + under * (1.0 - weight[inner])
    under[:] = np.round(mixed).clip(0, 255)


def _portrait() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the portrait and its alpha, 0..1."""
    from skimage import data

    image = np.asarray(data.astronaut(), np.float32)
    inset = np.minimum(np.arange(_PORTRAIT_PIXELS), np.arange(_PORTRAIT_PIXELS)[::-1])
    edge = np.clip(inset / _FEATHER, 0.0, 1.0).astype(np.float32)
    smooth = edge * edge * (3.0 - 2.0 * edge)
    return image, np.outer(smooth, smooth)


_COARSE = 8
"""Portrait pixels per pixel of the backdrop."""


def _backdrop(
    left: int,
    top: int,
    right: int,
    bottom: int,
    glow: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
) -> npt.NDArray[np.float32]:
    """A mottled studio canvas, lit from behind the head, dimmer outwards and below.

    Returns:
        float32 (height / 8, width / 8, 3), 0..255.
    """
    import cv2

    columns = np.linspace(left, right, max(2, (right - left) // _COARSE), dtype=np.float32)
    rows = np.linspace(top, bottom, max(2, (bottom - top) // _COARSE), dtype=np.float32)
    x, y = np.meshgrid(columns, rows)
    mottling = _mottling(x, y)
    distance = np.hypot((x - 240.0) / 1.35, y - 120.0) / 1000.0
    light = 0.30 + 0.70 * np.exp(-1.5 * distance**2)
    light *= 1.0 - 0.35 / (1.0 + np.exp(-(y - 640.0) / 140.0))
    canvas = np.array((203.0, 195.0, 190.0), np.float32) * light[..., None]
    canvas += mottling[..., None] * np.array((15.0, 14.0, 17.0), np.float32) * light[..., None]
    blurred, weight = glow
    maps = ((x + 512.0) / 4.0 - 0.5, (y + 512.0) / 4.0 - 0.5)
    near = cv2.remap(blurred, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.remap(weight, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)[..., None]
    return np.asarray(canvas * (1.0 - share) + near * share, np.float32)


def _mottling(x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cloudy noise at two scales, about -1..1, reproducible for a given place."""
    import cv2

    rng = np.random.default_rng(11)
    total = np.zeros_like(x)
    for pitch, strength in ((150.0, 0.6), (52.0, 0.4)):
        cells = rng.uniform(-1.0, 1.0, (192, 192)).astype(np.float32)
        total += strength * cv2.remap(
            cells,
            x / pitch + 96.0,
            y / pitch + 96.0,
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT_101,
        )
    return total


def _glow(
    portrait: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Extend the portrait's edges outwards, out of focus; return the picture and its alpha.

    Both are at a quarter of the portrait's scale, and extend 512 of its pixels on every side.
    """
    import cv2

    small = cv2.resize(portrait, (128, 128), interpolation=cv2.INTER_AREA)
    wide = cv2.copyMakeBorder(small, 128, 128, 128, 128, cv2.BORDER_REPLICATE)
    blurred = cv2.GaussianBlur(wide, (0, 0), 14.0)
    inside = np.zeros((384, 384), np.float32)
    inside[128:256, 128:256] = 1.0
    weight = cv2.GaussianBlur(inside, (0, 0), 18.0) * 1.6
    return np.asarray(blurred, np.float32), np.asarray(weight.clip(0.0, 0.9), np.float32)

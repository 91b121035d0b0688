"""Streams with known true labels: a head that moves over a background that moves differently."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.frames import Box, Frame, Image, LabelMap
from rtseg.labels import FACE_PARTS, HELEN
from training.augment.scene_settings import SceneSettings
from training.augment.scenes import FaceViews
from training.augment.transforms import PhotometricSettings
from training.data.backgrounds import Backgrounds
from training.data.base import samples_of
from training.data.helen import Helen

WIDTH, HEIGHT = 1280, 720
"""Size of a frame in pixels."""
HEAD = (*HELEN.face, *HELEN.hair)
CANVAS = 1280
"""Side in pixels of the canvas for sprites: room for a head and the body below it."""
HEAD_Y = 460
"""Position of the head's centre on that canvas."""
USUAL_NOISE = 4.0
"""The sensor noise of a webcam indoors: standard deviation in grey levels."""
HEAD_HEIGHT = HEIGHT / 3
"""Height in pixels of the heads in front of a still camera."""
PAN_ROOM = 320
"""Pixels by which a background can pan."""

_UNDER_GLASSES = (*HELEN.skin, *HELEN.brows, *HELEN.eyes)
_UNTOUCHED = 253  # marks where a sprite leaves the background unchanged


def in_helen_classes(labels: LabelMap, truth: LabelMap) -> LabelMap:
    """A model's labels in the eleven classes that the truth has.

    Glasses count as right on skin, brows and eyes, over which Helen* paints; ears, necks, clothes,
    hats and jewellery are its background.

    Args:
        labels: ids of `FACE_PARTS`, uint8 (height, width).
        truth: ids of `HELEN`, uint8 (height, width).
    """
    known = np.where(labels < len(HELEN), labels, np.uint8(0))
    glasses = labels == FACE_PARTS.names.index("glasses")
    return np.where(glasses & np.isin(truth, _UNDER_GLASSES), truth, known)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sprite:
    """A head with its body or its picture, ready to be pasted over anything.

    Attributes:
        colour: RGB uint8 (height, width, 3), already multiplied by `cover`.
        cover: uint8 (height, width, 1), its opacity, 0..255.
        labels: uint8 (height, width), true labels; `_UNTOUCHED` elsewhere.
        anchor: (x, y) of the head's centre in it.
    """

    colour: Image
    cover: npt.NDArray[np.uint8]
    labels: LabelMap
    anchor: tuple[int, int]

    def lay(self, image: Image, labels: LabelMap, *, x: int, y: int) -> None:
        """Paste it with the head's centre at a position, in place; clipped at the frame's edges."""
        left, top = x - self.anchor[0], y - self.anchor[1]
        height, width = self.labels.shape
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(image.shape[1], left + width), min(image.shape[0], top + height)
        if x1 <= x0 or y1 <= y0:
            return
        in_frame, in_layer = np.s_[y0:y1, x0:x1], np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        through = image[in_frame] * (255 - self.cover[in_layer]).astype(np.uint16)
        under = ((through + 127) // 255).astype(np.uint8)
        image[in_frame] = cv2.add(under, np.ascontiguousarray(self.colour[in_layer]))
        np.copyto(
            labels[in_frame], self.labels[in_layer], where=self.labels[in_layer] != _UNTOUCHED
        )

    def with_image(self, colour: Image) -> Sprite:
        """The same head with other colours."""
        return Sprite(colour=colour, cover=self.cover, labels=self.labels, anchor=self.anchor)


@dataclass(frozen=True, kw_only=True, eq=False)
class Actor:
    """A sprite and its path in whole pixels per frame, so that the labels stay exact."""

    sprite: Sprite
    start: tuple[int, int]
    velocity: tuple[int, int] = (0, 0)

    def place(self, index: int) -> tuple[int, int]:
        """(x, y) of the head's centre in frame pixels."""
        return (
            self.start[0] + index * self.velocity[0],
            self.start[1] + index * self.velocity[1],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A stream's frames, each a pure function of its index.

    Attributes:
        background: RGB uint8, larger than a frame.
        actors: heads, the nearest ones last.
        pan: pixels by which the background moves per frame; it turns back at its edges.
        noise: standard deviation of the sensor's noise, grey levels.
        seed: seed of the noise.
        fps: frames per second.
    """

    background: Image
    actors: tuple[Actor, ...] = ()
    pan: tuple[int, int] = (0, 0)
    noise: float = 0.0
    seed: int = 0
    fps: int = 30
    _grain: npt.NDArray[np.int16] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        shape = (HEIGHT + 64, WIDTH + 64, 3) if self.noise else (0, 0, 3)
        grain = np.round(rng.standard_normal(shape, np.float32) * self.noise).astype(np.int16)
        object.__setattr__(self, "_grain", grain)

    def __call__(self, index: int) -> tuple[Frame, LabelMap]:
        """Return a frame and its true labels, uint8 (720, 1280)."""
        x = _there_and_back(index * self.pan[0], self.background.shape[1] - WIDTH)
        y = _there_and_back(index * self.pan[1], self.background.shape[0] - HEIGHT)
        image = self.background[y : y + HEIGHT, x : x + WIDTH].copy()
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        for actor in self.actors:
            actor.sprite.lay(image, labels, x=actor.place(index)[0], y=actor.place(index)[1])
        if self.noise:
            # another part of the noise field each time, so that no pixel keeps its noise
            dx, dy = np.random.default_rng((self.seed, index)).integers(0, 64, 2)
            grain = self._grain[dy : dy + HEIGHT, dx : dx + WIDTH]
            image = np.asarray(cv2.add(image, grain, dtype=cv2.CV_8U), np.uint8)
        frame = Frame(image=image, index=index, pts=index, time_base=Fraction(1, self.fps))
        return frame, labels


def _there_and_back(position: int, room: int) -> int:
    if room <= 0:
        return 0
    position %= 2 * room
    return position if position <= room else 2 * room - position


def head_box(labels: LabelMap) -> Box | None:
    """The box around face and hair in frame pixels; None if there is none."""
    x, y, width, height = cv2.boundingRect(np.isin(labels, HEAD).astype(np.uint8))
    return Box(left=x, top=y, right=x + width, bottom=y + height) if width else None


@lru_cache(maxsize=1)
def views(data: Path) -> FaceViews:
    """Validation heads and held-out backgrounds, composed as
    `training.evaluation.robustness` does it."""
    backgrounds = Backgrounds(root=data, split="val")
    return FaceViews(
        list(samples_of(Helen(root=data, split="val"))),
        [backgrounds[i] for i in range(len(backgrounds))],
        label_set=HELEN,
        settings=SceneSettings(
            size=CANVAS, degrees=20, occluded=0, photometric=PhotometricSettings()
        ),
        seed=7,
    )


@lru_cache(maxsize=64)
def background(data: Path, *, seed: int) -> Image:
    """A face-free picture with room to pan, uint8 (1600, 1600, 3)."""
    backdrop = views(data).painter.backdrop(np.random.default_rng((seed, 1)))
    side = WIDTH + PAN_ROOM
    return np.asarray(
        cv2.resize(backdrop, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.uint8
    )


@lru_cache(maxsize=64)
def sprite(data: Path, *, height: float, seed: int) -> Sprite:
    """Make a validation head that is `height` pixels high (skin, parts and hair).

    It is painted on black and on white; the difference is its transparency.
    """
    painted = []
    for under in (0, 255):
        canvas = np.full((CANVAS, CANVAS, 3), under, np.uint8)
        labels = np.full((CANVAS, CANVAS), _UNTOUCHED, np.uint8)
        rng = np.random.default_rng((seed, 2))
        views(data).composer.paste(canvas, labels, rng, centre=(CANVAS / 2, HEAD_Y), height=height)
        painted.append(canvas.astype(np.float32))
    black, white = painted
    cover = np.round(255 - (white - black).mean(2, keepdims=True)).clip(0, 255).astype(np.uint8)
    cover[cover < 2] = 0  # rounding
    x, y, width, tall = cv2.boundingRect((cover[:, :, 0] > 0).view(np.uint8))
    part = np.s_[y : y + tall, x : x + width]
    return Sprite(
        colour=np.where(cover[part] > 0, black[part], 0).astype(np.uint8),
        cover=np.ascontiguousarray(cover[part]),
        labels=np.ascontiguousarray(labels[part]),
        anchor=(CANVAS // 2 - x, HEAD_Y - y),
    )


def wandering(data: Path, *, share: float, seed: int, noise: float = 0.0) -> Scene:
    """A head `share` of the frame high that drifts over a panning background."""
    rng = np.random.default_rng((seed, 3))
    height = share * HEIGHT
    x = int(rng.uniform(min(0.6 * height, WIDTH / 2), max(WIDTH - 0.6 * height, WIDTH / 2)))
    y = int(rng.uniform(0.55 * height, HEIGHT - 0.55 * height))
    # towards the centre, so that it stays in view
    speed = rng.integers(0, 4, 2)
    velocity = (int(speed[0]) * (1 if x < WIDTH / 2 else -1), int(speed[1] > 1) * _towards(y))
    pan = (int(rng.integers(1, 5)), int(rng.integers(0, 3)))
    return Scene(
        background=background(data, seed=seed),
        actors=(
            Actor(sprite=sprite(data, height=height, seed=seed), start=(x, y), velocity=velocity),
        ),
        pan=pan,
        noise=noise,
        seed=seed,
    )


def _towards(y: int) -> int:
    return 1 if y < HEIGHT / 2 else -1


def still_head(
    data: Path,
    *,
    seed: int,
    speed: int = 0,
    noise: float = USUAL_NOISE,
    fps: int = 30,
    frames: int = 30,
) -> Scene:
    """A head a third of the frame high in front of a still camera.

    It moves `speed` pixels per frame to the right, and is centred after half of the frames.
    """
    return Scene(
        background=background(data, seed=seed),
        actors=(
            Actor(
                sprite=sprite(data, height=HEAD_HEIGHT, seed=seed),
                start=(WIDTH // 2 - speed * frames // 2, HEIGHT // 2),
                velocity=(speed, 0),
            ),
        ),
        noise=noise,
        seed=seed,
        fps=fps,
    )


def faceless(data: Path, *, seed: int) -> Image:
    """A face-free frame: a held-out background, or one with hands, text and printed masks."""
    rng = np.random.default_rng((seed, 4))
    if seed % 2:
        image = views(data).painter.backdrop(rng)
    else:
        image = views(data).negative(rng, people=False)[0]
    margin = (CANVAS - HEIGHT) // 2
    return np.ascontiguousarray(image[margin : margin + HEIGHT])

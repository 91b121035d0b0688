"""Training views for a finder: people of any size and rotation, on face-free pictures or in their
own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.frames import Image
from rtseg.geometry.fit import PADDING
from training.augment import drawing, transforms
from training.augment.busts import Bust, middle_of
from training.augment.face_arrangements import Placement, arranged_people
from training.augment.face_clutter import occlude, printed_mask
from training.augment.face_light import faded, overexposed
from training.augment.face_maps import PlacedFace, TargetMap, target_map
from training.augment.face_pasting import (
    LEAST_VISIBLE,
    Canvas,
    degraded,
    oval_mask,
    placed_faces,
    soft_edges,
    warped_bust,
    wear_mask,
)

_SHAPES = ((16 / 9, 0.55), (4 / 3, 0.2), (1.0, 0.1), (9 / 16, 0.08), (0.0, 0.07))
"""Aspect ratios of simulated frames, and their frequencies; 0 fills the view, as a tile does."""


@dataclass(frozen=True, kw_only=True)
class SceneSettings:
    """The composition of a finder's training views.

    Attributes:
        height, width: size of a view in pixels.
        smallest, largest: range of face heights as shares of the frame's height.
        empty, whole: shares of views without people, and with one whole picture.
        upside: share of faces with an arbitrary rotation.
        masked: share of faces that wear a drawn mask or scarf.
        degraded: share of views that are dark, blurred, noisy or compressed.
        touching, at_edge, passing, coming: shares of views of people that show heads touching or
            hiding each other, faces half outside the frame, small faces, mostly turned, and
            faces of 5 to 12% of the frame's height, some cut by its sides.
        faded, overexposed: shares of views with little contrast left, and with glaring backgrounds.
        lookalikes: share of views, with people or without, that also show something that a finder
            takes for a face.
        least_visible: least visible share of a face that must be found.
    """

    height: int = 224
    width: int = 384
    smallest: float = 0.03
    largest: float = 1.2
    empty: float = 0.16
    whole: float = 0.24
    upside: float = 0.24
    masked: float = 0.07
    degraded: float = 0.5
    touching: float = 0.0
    at_edge: float = 0.0
    passing: float = 0.0
    coming: float = 0.0
    faded: float = 0.0
    overexposed: float = 0.0
    lookalikes: float = 0.0
    least_visible: float = LEAST_VISIBLE


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceScenes:
    """An endless sequence of views, each a function of the seed and its index.

    Attributes:
        busts: the people to show: one sequence per kind, and how often each kind is drawn.
        backgrounds: face-free pictures.
        settings: the composition of views.
        seed: seed of the whole sequence.
        turned: people in profile or half turned away, for the views that prefer them.
        lookalikes: what a finder takes for a face, with its place as that of a person's face.
    """

    busts: Sequence[tuple[Sequence[Bust], float]]
    backgrounds: Sequence[Image]
    settings: SceneSettings
    seed: int = 0
    turned: Sequence[Bust] = ()
    lookalikes: Sequence[Bust] = ()

    def __getitem__(self, index: int) -> tuple[Image, TargetMap]:
        image, faces, uncertain = self.scene(index)
        return image, target_map(faces, uncertain, height=image.shape[0], width=image.shape[1])

    def scene(self, index: int) -> tuple[Image, list[PlacedFace], list[PlacedFace]]:
        """Make a view; return it with the faces that must be found, and those that may be."""
        rng = np.random.default_rng((self.seed, index))
        settings = self.settings
        shape = _SHAPES[int(rng.choice(len(_SHAPES), p=[share for _, share in _SHAPES]))][0]
        height, width = settings.height, settings.width
        if shape:
            height = min(height, round(width / shape))
            width = min(width, round(height * shape))
        kind = rng.random()
        canvas = Canvas(
            image=self.background(rng, height=height, width=width),
            owners=np.zeros((height, width), np.uint8),
            faces=[],
        )
        if settings.overexposed and rng.random() < settings.overexposed:
            canvas.image = overexposed(canvas.image, rng)
        if self.lookalikes and rng.random() < settings.lookalikes:
            self._lookalike(canvas, rng, fills=kind <= settings.empty)
        if kind > settings.empty + settings.whole:
            self._people(canvas, rng)
        elif kind > settings.empty:
            self._photo(canvas, rng)
        elif rng.random() < 0.5:
            self._clutter(canvas, rng)
        image = canvas.image
        if rng.random() < settings.degraded:
            image = degraded(image, rng)
        if settings.faded and rng.random() < settings.faded:
            image = faded(image, rng)
        top, left = (settings.height - height) // 2, (settings.width - width) // 2
        view = np.full((settings.height, settings.width, 3), PADDING, np.uint8)
        view[top : top + height, left : left + width] = image
        faces, uncertain = placed_faces(
            canvas, left=left, top=top, least_visible=settings.least_visible
        )
        return view, faces, uncertain

    def background(self, rng: np.random.Generator, *, height: int, width: int) -> Image:
        """A random part of a face-free picture."""
        picture = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        rows, columns = picture.shape[:2]
        share = math.exp(rng.uniform(math.log(0.35), 0))
        part_height = max(8, round(rows * share))
        preferred_width = part_height * width / height * math.exp(rng.uniform(-0.25, 0.25))
        part_width = max(8, min(columns, round(preferred_width)))
        y = int(rng.integers(rows - part_height + 1))
        x = int(rng.integers(columns - part_width + 1))
        part = picture[y : y + part_height, x : x + part_width]
        if rng.random() < 0.5:
            part = part[:, ::-1]
        shrinks = part_height > height
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized: Image = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=how)
        if rng.random() < 0.3:
            resized = transforms.colour_shift(resized, rng, gamma=1.6)
        return resized

    def any_bust(self, rng: np.random.Generator) -> Bust:
        """Draw a random person."""
        shares = [share for _, share in self.busts]
        kind = self.busts[int(rng.choice(len(shares), p=np.array(shares) / sum(shares)))][0]
        return kind[int(rng.integers(len(kind)))]

    def _roll(self, rng: np.random.Generator) -> float:
        chance = rng.random()
        if chance < self.settings.upside:
            return float(rng.uniform(-180, 180))
        return float(rng.normal(0, 35 if chance < 0.45 else 9))

    def _person(self, rng: np.random.Generator, placement: Placement) -> Bust:
        if placement.turned and self.turned:
            return self.turned[int(rng.integers(len(self.turned)))]
        return self.any_bust(rng)

    def _people(self, canvas: Canvas, rng: np.random.Generator) -> None:
        settings = self.settings
        height, width = canvas.image.shape[:2]
        arranged = arranged_people(
            rng,
            touching=settings.touching,
            at_edge=settings.at_edge,
            passing=settings.passing,
            coming=settings.coming,
            size=(height, width),
        )
        for one in arranged:
            bust = self._person(rng, one)
            style = "" if not bust.can_be_cut_out else "cut" if bust.has_body else "head"
            self.paste(
                canvas, rng, bust, x=one.x, y=one.y, tall=one.tall, roll=one.roll, style=style
            )
        if arranged:
            return
        count = int(rng.choice([1, 2, 3, 4, 8, 14], p=[0.4, 0.22, 0.13, 0.1, 0.1, 0.05]))
        largest = settings.largest if count < 4 else settings.largest / count
        low, high = math.log(settings.smallest), math.log(max(largest, 2 * settings.smallest))
        if count >= 8:  # a group, with similar sizes
            middle = rng.uniform(low + 0.2, high)
            shares = [math.exp(middle + rng.normal(0, 0.15)) for _ in range(count)]
        else:
            shares = [math.exp(rng.uniform(low, high)) for _ in range(count)]
        placed: list[tuple[float, float, float]] = []
        for share in sorted(shares):
            tall = share * height
            for _ in range(8):
                reach = 0.15 * tall  # some are cut by the frame's edges
                x = rng.uniform(-reach, width + reach)
                y = rng.uniform(-reach, height + reach)
                if share < 0.3 and rng.random() < 0.5:
                    y = rng.uniform(0.15 * height, 0.6 * height)
                if all(
                    abs(x - other_x) > 0.55 * (tall + other)
                    or abs(y - other_y) > 0.7 * (tall + other)
                    for other_x, other_y, other in placed
                ):
                    break
            else:
                continue
            placed.append((x, y, tall))
            self.paste(canvas, rng, self.any_bust(rng), x=x, y=y, tall=tall, roll=self._roll(rng))

    def _lookalike(self, canvas: Canvas, rng: np.random.Generator, *, fills: bool) -> None:
        """Paste what a finder takes for a face, with its whole picture if it fills the frame."""
        height, width = canvas.image.shape[:2]
        thing = self.lookalikes[int(rng.integers(len(self.lookalikes)))]
        tall = height * math.exp(rng.uniform(math.log(0.06), math.log(1.1 if fills else 0.55)))
        self.paste(
            canvas,
            rng,
            thing,
            x=rng.uniform(0.1, 0.9) * width,
            y=rng.uniform(0.1, 0.9) * height,
            tall=tall,
            roll=self._roll(rng),
            style="photo" if fills else "oval",
            is_face=False,
        )

    def _photo(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Show one picture as it is: filling the frame, or surrounded by its own repeated edges."""
        height, width = canvas.image.shape[:2]
        for _ in range(20):
            bust = self.any_bust(rng)
            if not bust.shows_others:
                break
        tall = height * math.exp(rng.uniform(math.log(0.22), math.log(self.settings.largest)))
        x = width * rng.normal(0.5, 0.12)
        y = height * rng.normal(0.5, 0.1)
        roll = self._roll(rng)
        self.paste(canvas, rng, bust, x=x, y=y, tall=tall, roll=roll, style="photo")

    def paste(
        self,
        canvas: Canvas,
        rng: np.random.Generator,
        bust: Bust,
        *,
        x: float,
        y: float,
        tall: float,
        roll: float,
        style: str = "",
        is_face: bool = True,
    ) -> None:
        """Paste a person whose face is `tall` pixels high, or what looks like one."""
        _rows, _columns = bust.shape
        scale = tall / bust.face_height
        mirrored = rng.random() < 0.5
        stretch = math.exp(rng.normal(0, 0.06))
        turn = math.radians(roll)
        cosine, sine = math.cos(turn), math.sin(turn)
        linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag(
            [scale * stretch * (-1 if mirrored else 1), scale / stretch]
        )
        source = np.array(middle_of(bust.outline, bust.roll_degrees))
        offset = np.array([x, y]) - linear @ source
        outline = bust.outline @ linear.T + offset
        rolled = roll + (-bust.roll_degrees if mirrored else bust.roll_degrees)
        if not style:
            chance = rng.random()
            if bust.has_body:
                style = "cut" if chance < 0.62 else "rectangle" if chance < 0.86 else "oval"
            else:
                style = "head" if chance < 0.4 else "rectangle" if chance < 0.75 else "oval"
            if style == "rectangle" and bust.shows_others:
                style = "oval"
            if style in ("cut", "head") and not bust.can_be_cut_out:
                style = "rectangle"
        if style in ("cut", "head") and rng.random() < 0.75:
            self._body(canvas, rng, bust, linear, offset, style=style)
        layer, cover, region = warped_bust(
            bust, canvas.image.shape[:2], linear, offset, style=style
        )
        if layer is None or cover is None or region is None:
            return
        if style == "photo":
            cover = np.full_like(cover, 255) if rng.random() < 0.7 else cover
        elif style == "oval":
            cover = oval_mask(cover, region, outline, rng)
        elif style in ("cut", "head"):
            wide = max(0.0, tall * float(rng.choice([0.004, 0.01, 0.03])))
            if wide >= 0.5:
                cover = cv2.GaussianBlur(cover, (0, 0), wide)
        elif rng.random() < 0.6:
            cover = soft_edges(cover, tall * float(rng.choice([0.02, 0.1, 0.25])))
        if rng.random() < 0.35:
            layer = transforms.colour_shift(np.ascontiguousarray(layer), rng, gamma=1.5)
        if is_face and rng.random() < self.settings.masked:
            layer = np.ascontiguousarray(layer)
            wear_mask(layer, region, outline, rolled, rng)
        if rng.random() < 0.08:  # back light
            layer = (layer * rng.uniform(0.2, 0.6)).astype(np.uint8)
        top, bottom, left, right = region
        part = np.s_[top:bottom, left:right]
        share = (cover.astype(np.float32) / 255)[..., None]
        under = canvas.image[part].astype(np.float32)
        canvas.image[part] = under + (layer - under) * share + 0.5
        if not is_face:
            canvas.owners[part][cover > 127] = 0
            return
        canvas.faces.append((outline, rolled))
        canvas.owners[part][cover > 127] = len(canvas.faces)
        if rng.random() < 0.14:
            occlude(canvas, rng, x=x, y=y, tall=tall)

    def _body(
        self,
        canvas: Canvas,
        rng: np.random.Generator,
        bust: Bust,
        linear: npt.NDArray[np.float64],
        offset: npt.NDArray[np.float64],
        *,
        style: str,
    ) -> None:
        """Paint shoulders, and what is below them, where the picture ends."""
        rows, columns = bust.shape
        if style == "cut":
            half, neck, top = 0.5 * columns, 0.5 * columns, rows - 2.0
            middle = columns / 2
        else:
            left, upper = bust.outline.min(0)
            right, lower = bust.outline.max(0)
            middle, face = (left + right) / 2, right - left
            half, neck, top = (
                face * rng.uniform(0.9, 1.5),
                face * 0.3,
                lower - 0.12 * (lower - upper),
            )
        fall = bust.face_height * rng.uniform(0.2, 0.5)
        down = top + bust.face_height * rng.uniform(1.5, 5)
        wide = half * rng.uniform(0.8, 1.2)
        corners = np.array(
            [
                (middle - neck, top),
                (middle + neck, top),
                (middle + half, top + fall),
                (middle + wide, down),
                (middle - wide, down),
                (middle - half, top + fall),
            ]
        )
        placed = corners @ linear.T + offset
        mask = np.zeros(canvas.owners.shape, np.uint8)
        cv2.fillPoly(mask, [np.rint(placed * 16).astype(np.int32)], 1, cv2.LINE_AA, 4)
        if not mask.any():
            return
        if style == "cut" and rng.random() < 0.6:
            lowest = bust.levels[0][-6:, :, :3].reshape(-1, 3)
            colour = lowest[int(rng.integers(len(lowest)))].astype(np.float64)
        else:
            colour = rng.uniform(0, 255, 3)
        height, width = canvas.image.shape[:2]
        if rng.random() < 0.7:
            cloth = drawing.texture(max(height, width), rng, colour=colour)[:height, :width]
        else:
            cloth = self.background(rng, height=height, width=width)
        shown = mask > 0
        canvas.image[shown] = cloth[shown]
        canvas.owners[shown] = 0

    def _clutter(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Paint hands, bodies without a head, cloth: skin-coloured things without a face."""
        height, width = canvas.owners.shape
        side = max(height, width)
        for _ in range(int(rng.integers(1, 4))):
            place = (rng.uniform(0, width), rng.uniform(0, height))
            palm = math.exp(rng.uniform(math.log(3), math.log(60)))
            cover = drawing.hand_mask(side, rng, centre=place, palm=palm)[:height, :width]
            layer = drawing.texture(side, rng, colour=drawing.skin_colour(rng))[:height, :width]
            drawing.blend(canvas.image, layer, cover)
        if rng.random() < 0.4:
            printed_mask(canvas, rng)
        if rng.random() < 0.5:
            size = rng.uniform(0.1, 0.8) * height
            x, y = rng.uniform(0, width), rng.uniform(0, height)
            bust = self.any_bust(rng)
            linear = np.eye(2) * size / bust.face_height
            offset = np.array([x, y]) - linear @ np.array(middle_of(bust.outline, 0.0))
            self._body(canvas, rng, bust, linear, offset, style="head")

"""Paste cut-out, warped people into a finder's training views, and record whose face is visible."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.frames import Image
from training.augment import transforms
from training.augment.busts import Bust, Points, middle_of, upright_size
from training.augment.face_maps import PlacedFace

LEAST_VISIBLE = 0.38
"""The least visible share of a face that must be found, unless told otherwise."""

_UNCERTAIN = 0.08  # least visible share of a face that may be found
_LEAST_SIZE = 5.0  # pixels; smaller faces are neither required nor penalised


@dataclass(eq=False)
class Canvas:
    """A frame being painted, and the positions of the people in it."""

    image: Image
    owners: npt.NDArray[np.uint8]
    faces: list[tuple[Points, float]]


def warped_bust(
    bust: Bust,
    size: tuple[int, int],
    linear: npt.NDArray[np.float64],
    offset: npt.NDArray[np.float64],
    *,
    style: str,
) -> tuple[Image | None, npt.NDArray[np.uint8] | None, tuple[int, int, int, int] | None]:
    """Warp a bust's picture and mask into the frame; also its region (top, bottom, left, right)."""
    rows, columns = bust.shape
    height, width = size
    scale = math.sqrt(abs(float(np.linalg.det(linear))))
    level = int(
        np.clip(math.floor(math.log2(1 / max(scale, 1e-6)) + 0.35), 0, len(bust.levels) - 1)
    )
    picture = bust.levels[level]
    factor_y, factor_x = rows / picture.shape[0], columns / picture.shape[1]
    if style == "photo":
        left, top, right, bottom = 0, 0, width, height
    else:
        corners = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)]) @ linear.T + offset
        left, top = np.floor(np.maximum(corners.min(0), 0)).astype(int)
        right, bottom = np.ceil(np.minimum(corners.max(0), (width, height))).astype(int)
    if right - left < 2 or bottom - top < 2:
        return None, None, None
    # pixel centres: x + 0.5 of both grids coincide
    matrix = np.column_stack((linear @ np.diag([factor_x, factor_y]), offset))
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5 - np.array([left, top])
    frame = (int(right - left), int(bottom - top))
    colours = np.ascontiguousarray(picture[..., :3])
    layer = cv2.warpAffine(
        colours, matrix, frame, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    shown = (
        picture[..., 3] if style in ("cut", "head") else np.full(picture.shape[:2], 255, np.uint8)
    )
    cover = cv2.warpAffine(np.ascontiguousarray(shown), matrix, frame, flags=cv2.INTER_LINEAR)
    return layer, cover, (int(top), int(bottom), int(left), int(right))


def oval_mask(
    cover: npt.NDArray[np.uint8],
    region: tuple[int, int, int, int],
    outline: Points,
    rng: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """A soft oval around a face, as in a vignetted portrait."""
    top, _, left, _ = region
    x, y = outline.mean(0) - (left, top)
    wide, tall = np.ptp(outline, axis=0) * rng.uniform(0.75, 1.3)
    mask = np.zeros_like(cover)
    centre = (round(float(x)), round(float(y - 0.1 * tall)))
    cv2.ellipse(mask, centre, (max(2, round(wide)), max(2, round(tall))), 0, 0, 360, 255, -1)
    soft = max(0.6, float(tall) * float(rng.choice([0.01, 0.05, 0.15])))
    softened: npt.NDArray[np.uint8] = np.minimum(cv2.GaussianBlur(mask, (0, 0), soft), cover)
    return softened


def wear_mask(
    layer: Image,
    region: tuple[int, int, int, int],
    outline: Points,
    roll_degrees: float,
    rng: np.random.Generator,
) -> None:
    """Cover a face from the nose down with cloth, like a medical mask or a scarf.

    Args:
        layer: the picture that contains the face; painted in place.
        region: the region of the frame that it covers, (top, bottom, left, right).
        outline: of the face, in frame pixels.
        roll_degrees: the face's rotation, clockwise on the screen.
    """
    top, bottom, left, right = region
    angle = math.radians(roll_degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    x = np.arange(left, right, dtype=np.float32) + 0.5
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5
    across, down = cosine * x + sine * y, cosine * y - sine * x
    upright = outline @ np.array([[cosine, -sine], [sine, cosine]])
    (low_x, low_y), (high_x, high_y) = upright.min(0), upright.max(0)
    wide, tall = high_x - low_x, high_y - low_y
    middle = (low_x + high_x) / 2 + wide * rng.normal(0, 0.06)
    bridge = np.exp(-(((across - middle) / (0.22 * wide)) ** 2))
    edge = low_y + tall * (rng.uniform(0.5, 0.62) - rng.uniform(0, 0.12) * bridge)
    grown = (outline - outline.mean(0)) * rng.uniform(1.0, 1.1) + outline.mean(0) - (left, top)
    cover = np.zeros(layer.shape[:2], np.uint8)
    cv2.fillConvexPoly(cover, np.rint(grown * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    share = np.clip((down - edge) / max(0.5, 0.02 * tall) + 0.5, 0, 1) * (cover / np.float32(255))
    colours = ((235, 235, 240), (150, 190, 215), (90, 150, 190), (30, 30, 35))
    colour = np.array(colours[int(rng.integers(len(colours)))], np.float32)
    if rng.random() < 0.3:
        colour = rng.uniform(0, 255, 3).astype(np.float32)
    light = cv2.GaussianBlur(layer.mean(2).astype(np.float32), (0, 0), max(0.5, 0.06 * tall))
    shade = 0.55 + 0.45 * light / max(1.0, float(light.max()))
    folds = 1 + 0.06 * np.sin((down - low_y) / tall * rng.uniform(20, 60))
    cloth = np.clip(colour * (shade * folds)[..., None], 0, 255)
    layer[:] = layer + (cloth - layer) * share[..., None] + 0.5


def soft_edges(cover: npt.NDArray[np.uint8], softness: float) -> npt.NDArray[np.uint8]:
    """A bust's opacity, 0..255, with its edge softened over `softness` pixels."""
    if softness < 0.5:
        return cover
    framed = cv2.copyMakeBorder(cover, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inside = cv2.distanceTransform((framed > 127).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    soft: npt.NDArray[np.uint8] = (
        (inside[1:-1, 1:-1] * (255 / softness)).clip(0, 255).astype(np.uint8)
    )
    return soft


def placed_faces(
    canvas: Canvas, *, left: int, top: int, least_visible: float = LEAST_VISIBLE
) -> tuple[list[PlacedFace], list[PlacedFace]]:
    """The faces that must be found, and those that may be."""
    height, width = canvas.owners.shape
    faces: list[PlacedFace] = []
    uncertain: list[PlacedFace] = []
    for owner, (outline, roll) in enumerate(canvas.faces, 1):
        wide, tall = upright_size(outline, roll)
        low, high = np.floor(outline.min(0)).astype(int), np.ceil(outline.max(0)).astype(int)
        mask = np.zeros((max(1, high[1] - low[1]), max(1, high[0] - low[0])), np.uint8)
        cv2.fillConvexPoly(mask, np.floor(outline - low).astype(np.int32), 1)
        x0, y0 = max(0, low[0]), max(0, low[1])
        x1, y1 = min(width, high[0]), min(height, high[1])
        if x1 <= x0 or y1 <= y0:
            continue
        inside = mask[y0 - low[1] : y1 - low[1], x0 - low[0] : x1 - low[0]] > 0
        shown = inside & (canvas.owners[y0:y1, x0:x1] == owner)
        visible = float(shown.sum()) / max(1.0, float(mask.sum()))
        if visible < _UNCERTAIN:
            continue
        x, y = middle_of(outline, roll)
        face = PlacedFace(
            x=min(max(x, 1.0), width - 1.0) + left,
            y=min(max(y, 1.0), height - 1.0) + top,
            width=wide,
            height=tall,
            roll_degrees=(roll + 180) % 360 - 180,
            visible=visible,
            box=(x0 + left, y0 + top, x1 + left, y1 + top),
        )
        counts = visible >= least_visible and face.size >= _LEAST_SIZE
        (faces if counts else uncertain).append(face)
    return faces, uncertain


def degraded(image: Image, rng: np.random.Generator) -> Image:
    """Degrade a frame as a bad camera or a strong compression does."""
    height, width = image.shape[:2]
    if rng.random() < 0.2:
        image = (image * rng.uniform(0.12, 0.6)).astype(np.uint8)
    elif rng.random() < 0.3:
        image = transforms.colour_shift(image, rng, gamma=1.8)
    if rng.random() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    elif rng.random() < 0.12:
        length = int(rng.integers(3, 9))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1 / length
        turn = cv2.getRotationMatrix2D((length / 2 - 0.5,) * 2, rng.uniform(0, 180), 1)
        kernel = cv2.warpAffine(kernel, turn, (length, length))
        image = cv2.filter2D(image, -1, kernel / max(1e-3, float(kernel.sum())))
    elif rng.random() < 0.12:
        small = (max(8, round(width * rng.uniform(0.4, 0.8))), max(8, round(height * 0.6)))
        image = cv2.resize(cv2.resize(image, small), (width, height))
    if rng.random() < 0.3:
        noise = rng.standard_normal((height, width, 3), np.float32) * rng.uniform(2, 14)
        image = (image + noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.06:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = np.repeat(grey[..., None], 3, axis=2)
    if rng.random() < 0.3:
        quality = int(rng.integers(15, 80))
        packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(image)

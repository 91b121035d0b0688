"""Render the documentation's pictures into docs/pictures: `python docs/render_pictures.py`.

The person is Eileen Collins in NASA's public-domain portrait (scikit-image's `astronaut`).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from rtseg import Segmenter
from rtseg.effects import apply_effects
from rtseg.frames import Image, Segmentation

FOLDER = Path(__file__).parent / "pictures"
SIDE = 320  # pixels, of each part
QUALITY = 85


def portrait() -> Image:
    """The head and shoulders of the portrait."""
    from skimage.data import astronaut

    return np.ascontiguousarray(astronaut()[:270, 95:365])


def grey(alpha: npt.NDArray[np.float32]) -> Image:
    """A soft mask as a picture."""
    return np.repeat((255 * alpha).astype(np.uint8)[..., None], 3, axis=2)


def outlined(image: Image, result: Segmentation) -> Image:
    """The polygons of hair and face."""
    picture = image.copy()
    for names, colour in ((("hair",), (255, 255, 0)), (("face",), (0, 255, 255))):
        lines = [np.round(line).astype(np.int32) for line in result.polygons(*names)]
        cv2.polylines(picture, lines, isClosed=True, color=colour, thickness=1)
    return picture


def write(name: str, parts: list[Image]) -> None:
    """Parts side by side, as a small JPEG."""
    from PIL import Image as Pictures

    sized = [cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for part in parts]
    FOLDER.mkdir(exist_ok=True)
    Pictures.fromarray(np.hstack(sized)).save(FOLDER / name, quality=QUALITY, optimize=True)


def main() -> None:
    """Render all of them."""
    image = portrait()
    with Segmenter(soft=True, device="cpu") as segmenter:
        result = segmenter(image)

    def with_effects(*effects: str) -> Image:
        return apply_effects(image, result, effects)

    write(
        "effects-hair.jpg",
        [image, *(with_effects(f"hair={name}") for name in ("#6a2c70", "#b5532a", "#15100e"))],
    )
    write(
        "effects-face.jpg",
        [
            image,
            with_effects("lips=#b0122a"),
            with_effects("skin=0.7", "teeth=0.6", "eyes=0.4", "brows=#3a2416"),
            with_effects("background=blur:8"),
        ],
    )
    cut = {"view": "cutout", "classes": ("hair", "face"), "background": "#00a060"}
    write(
        "results.jpg",
        [
            result.plot(),
            grey(result.alpha("hair")),
            outlined(image, result),
            result.plot(**cut, feather=6.0),
        ],
    )


if __name__ == "__main__":
    main()

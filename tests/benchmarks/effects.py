"""The cost of effects, and how much they flicker: `python -m tests.benchmarks.effects`.

NASA's portrait of Eileen Collins (scikit-image's `astronaut`), scaled so that the head is two
thirds of a 1280x720 frame's height. Times are processor time of one thread. Flicker is the change
of hair or lips from one frame to the next: of the region's mean colour and of its pixels, each
compared with the source's own change.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import cv2
import numpy as np

from rtseg.effects import EffectChain, parse_effect
from rtseg.frames import Frame, Image
from rtseg.segmenter import Segmenter

EFFECTS = (
    *("lips=#b0122a", "hair=#6a2c70", "brows=#402010", "skin=0.5", "teeth=0.5", "eyes=0.3"),
    *("background=blur:12", "background=#00ff00"),
)
GROUPS = ("hair", "lips", "skin", "face", "background")
NOISE = 3.0  # the sensor's noise, in grey levels
SPEED = 3  # pixels per frame


def portrait_frame(*, width: int = 1280, height: int = 720, share: float = 2 / 3) -> Image:
    """Place the portrait in a frame of this size, with the head at that share of the height."""
    from skimage.data import astronaut

    source = astronaut()
    scale = share * height / 165  # the head's rows in the portrait
    big = cv2.resize(source, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    top, left = round(97 * scale - height / 2), round(228 * scale - width / 2)
    frame = np.full((height, width, 3), 150, np.uint8)
    inner = big[max(0, top) : top + height, max(0, left) : left + width]
    y, x = max(0, -top), max(0, -left)
    frame[y : y + inner.shape[0], x : x + inner.shape[1]] = inner
    return frame


def timed(call: object, count: int) -> tuple[float, float]:
    """Median and minimum processor time of one thread in milliseconds."""
    took = []
    for _ in range(count):
        begin = time.thread_time()
        call()  # type: ignore[operator]
        took.append((time.thread_time() - begin) * 1e3)
    return float(np.median(took)), min(took)


def costs(segmenter: Segmenter, count: int) -> Iterator[str]:
    """Print one line for each soft mask and effect."""
    image = portrait_frame()
    result = segmenter(image)
    face = result.faces[0]
    yield f"head {face.box.height:.0f} of {image.shape[0]} rows; ms, median and least of {count}"
    for name in GROUPS:
        median, least = timed(partial(result.alpha, name), count)
        yield f"  alpha {name:22} {median:6.2f} {least:6.2f}"
    for text in EFFECTS:
        effect = parse_effect(text)

        picture = image.copy()

        def change(effect=effect, picture=picture) -> None:  # type: ignore[no-untyped-def]
            effect.change(picture, result, None)

        median, least = timed(change, count)
        yield f"  {text:28} {median:6.2f} {least:6.2f}"


def stream(kind: str, frames: int) -> Iterator[tuple[Frame, int]]:
    """Yield frames with sensor noise, and each one's shift to the right in pixels."""
    rng = np.random.default_rng(4)
    wide = portrait_frame(width=1280 + SPEED * frames)
    for index in range(frames):
        offset = SPEED * index if kind == "moving" else 0
        view = wide[:, offset : offset + 1280].astype(np.float32)
        noisy = view + rng.normal(0, NOISE, view.shape)
        image = noisy.clip(0, 255).astype(np.uint8)
        yield (
            Frame(image=image, index=index, pts=index, time_base=Fraction(1, 30)),
            offset,
        )


def lab(image: Image) -> np.ndarray:
    """float32 (height, width, 3): L*, a*, b*."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab))


def flicker(kind: str, effect: str, part: str, frames: int) -> str:
    """Print one line: changes from frame to frame of the source and of the effect's result."""
    chain = EffectChain([effect])
    means: dict[str, list[np.ndarray]] = {"source": [], "effect": []}
    pixels: dict[str, list[float]] = {"source": [], "effect": []}
    last: dict[str, np.ndarray] = {}
    with Segmenter(soft=True, max_faces=1, threads=1) as segmenter:
        inside = None
        for frame, offset in stream(kind, frames):
            result = segmenter(frame)
            if inside is None:
                core = cv2.erode(result.mask(part).astype(np.uint8), np.ones((5, 5), np.uint8))
                inside = np.nonzero(core)
            rows, columns = inside[0], inside[1] - offset
            keep = columns >= 0
            made = chain(frame, result)
            for name, image in (("source", frame.image), ("effect", made)):
                values = lab(image)[rows[keep], columns[keep]]
                means[name].append(values.mean(0))
                if name in last and frame.index > 5:
                    before = last[name][-len(values) :] if offset == 0 else None
                    if before is not None:
                        pixels[name].append(float(np.abs(values - before).mean()))
                last[name] = values
    steps = {
        name: float(np.linalg.norm(np.diff(values[5:], axis=0), axis=1).mean())
        for name, values in means.items()
    }
    line = f"  {kind:7} {effect:14} mean colour {steps['source']:.3f} -> {steps['effect']:.3f}"
    if pixels["source"]:
        line += (
            f", pixels {np.mean(pixels['source']):.2f} -> {np.mean(pixels['effect']):.2f} (delta E)"
        )
    return line


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30, help="timed calls of each")
    parser.add_argument("--frames", type=int, default=40, help="frames of each stream")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with Segmenter(soft=True, threads=1) as segmenter:
        for line in costs(segmenter, options.count):
            print(line)  # noqa: T201
    print("flicker, CIE76 from frame to frame")  # noqa: T201
    for kind in ("still", "moving"):
        for effect, part in (("hair=#6a2c70", "hair"), ("lips=#b0122a", "lips")):
            print(flicker(kind, effect, part, options.frames))  # noqa: T201


if __name__ == "__main__":
    main()

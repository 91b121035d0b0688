"""Compare clips in their own light and in the dark: `python -m tests.benchmarks.faces.poor_light`.

Each clip is labelled as it is, which counts as the truth, then darkened with noise added, with and
without the stretching of `rtseg.geometry.exposure`. Counted are the faces that are found again
(boxes that overlap by half) and the pixels of people whose labels are the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np

from rtseg import Segmenter
from rtseg.frames import Frame, Image, Segmentation
from rtseg.geometry.crop import Crop
from tests.benchmarks.faces.clips import HIT, frames_of

Light = Callable[[Image, np.random.Generator], Image]


def dark(image: Image, rng: np.random.Generator, *, light: float, noise: float) -> Image:
    """The picture with a share of its light, and a deviation of noise in grey levels."""
    dim = image * np.float32(light) + noise * rng.standard_normal(image.shape, np.float32)
    return np.asarray(np.clip(np.rint(dim), 0, 255), np.uint8)


def _as_it_is(picture: Image, crop: Crop, *, height: int, width: int) -> Image:
    return picture


def labelled(
    frames: list[Frame], light: Light | None, *, stretched: bool, threads: int
) -> list[Segmentation]:
    """Label a clip as a stream."""
    rng = np.random.default_rng(0)
    results = []
    with ExitStack() as stack:
        if not stretched:
            stack.enter_context(patch("rtseg.geometry.exposure.evened", _as_it_is))
        segmenter = stack.enter_context(Segmenter(threads=threads))
        for frame in frames:
            image = frame.image if light is None else light(frame.image, rng)
            results.append(segmenter(dataclasses.replace(frame, image=image)))
    return results


def found_again(truth: list[Segmentation], results: list[Segmentation]) -> tuple[int, int, float]:
    """Faces found again, of how many, and the share of people's pixels with the same label."""
    hits = faces = same = pixels = 0
    for true, result in zip(truth, results, strict=True):
        faces += len(true.faces)
        hits += sum(
            any(other.face_box.overlap(face.face_box) >= HIT for other in result.faces)
            for face in true.faces
        )
        person = true.labels != true.label_set.background
        pixels += int(person.sum())
        same += int((true.labels == result.labels)[person].sum())
    return hits, faces, same / max(1, pixels)


def main() -> None:
    """Print a line for each clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--light", type=float, default=1 / 16)
    parser.add_argument("--noise", type=float, default=0.8)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()

    def light(image: Image, rng: np.random.Generator) -> Image:
        return dark(image, rng, light=options.light, noise=options.noise)

    heading = f"{'clip':32} {'found as it is':>18} {'same':>6} {'found stretched':>18} {'same':>6}"
    sys.stdout.write(heading + "\n")
    for clip in options.clips:
        frames = frames_of(clip)[: options.frames]
        truth = labelled(frames, None, stretched=True, threads=options.threads)
        line = f"{clip.name:32}"
        for stretched in (False, True):
            results = labelled(frames, light, stretched=stretched, threads=options.threads)
            hits, faces, same = found_again(truth, results)
            line += f" {f'{hits} of {faces}':>18} {same:6.3f}"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

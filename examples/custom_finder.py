"""A custom finder: here, the face is where the command line says it is.

    python examples/custom_finder.py PHOTO LEFT TOP RIGHT BOTTOM

The box is the face's, forehead to chin and ear to ear, in pixels. Any detector can be used: its
results become `FaceDetection`s, which rtseg crops, segments and follows.
"""

import sys

from rtseg import Box, Segmenter
from rtseg.faces.base import FaceDetection


class KnownPlace:
    """A `FaceFinder` that always finds the same face."""

    def __init__(self, box: Box) -> None:
        self.box = box

    def __call__(self, picture, infer, *, regions, known=()):
        """Return the face, whatever the picture shows."""
        return [FaceDetection(box=self.box, score=1.0)]

    def reset(self) -> None:
        """Do nothing, since there is no state."""


if __name__ == "__main__":
    photo, *edges = sys.argv[1:]
    left, top, right, bottom = map(float, edges)
    finder = KnownPlace(Box(left=left, top=top, right=right, bottom=bottom))
    with Segmenter(finder=finder) as segmenter:
        result = segmenter(photo)
        print(result, {name: n for name, n in result.pixel_counts().items() if n})

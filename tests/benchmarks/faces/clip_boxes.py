"""Where the faces of the clips are, and what is printed on a shirt: read off by eye.

Every 15th frame; (left, top, right, bottom) of face and hair in pixels of 640x480 frames, to
about three pixels. Between them the boxes move evenly. They end at the chin; hair that falls over
the shoulders, and comes and goes behind hands (asl-book), may be part of the head or not.
"""

from __future__ import annotations

from rtseg.frames import Box

Corners = tuple[int, int, int, int]

STEP = 15
"""Frames between two boxes."""

PERSONS: dict[str, tuple[Corners, ...]] = {
    "asl-again": (
        (282, 51, 362, 173),
        (280, 51, 359, 162),
        (283, 55, 361, 164),
        (280, 55, 357, 164),
        (278, 55, 355, 164),
        (274, 50, 353, 163),
    ),
    "asl-bird": (
        (276, 27, 354, 137),
        (269, 29, 346, 139),
        (270, 30, 347, 139),
        (273, 30, 350, 138),
        (274, 32, 350, 138),
    ),
    "asl-book": (
        (258, 82, 341, 168),
        (261, 86, 341, 169),
        (260, 88, 341, 172),
        (263, 86, 341, 170),
        (262, 88, 340, 170),
        (258, 90, 337, 173),
        (258, 89, 336, 173),
        (263, 85, 341, 170),
    ),
    "asl-brother": (
        (253, 48, 333, 163),
        (242, 53, 323, 166),
        (255, 55, 334, 172),
        (256, 53, 335, 168),
        (256, 49, 335, 163),
    ),
    "asl-eat": (
        (263, 70, 343, 184),
        (258, 73, 337, 183),
        (267, 73, 346, 182),
        (273, 71, 354, 182),
    ),
    "asl-help": (
        (291, 56, 372, 172),
        (296, 57, 375, 169),
        (305, 60, 380, 168),
        (297, 60, 373, 170),
    ),
}

WITH_LOOSE_HAIR: dict[str, Corners] = {"asl-book": (252, 84, 352, 222)}
"""The same head down to the tips of its hair; she stands still."""
"""The person who stands in the middle."""

SECOND_PERSONS: dict[str, tuple[Corners, ...]] = {
    "asl-bird": (
        (571, 62, 640, 270),
        (572, 62, 640, 272),
        (571, 62, 640, 272),
        (573, 63, 640, 272),
        (573, 62, 640, 272),
    ),
}
"""Who is cut off by the frame's edge."""

SKULLS: dict[str, tuple[Corners, ...]] = {
    "asl-again": (
        (250, 215, 386, 359),
        (252, 215, 387, 358),
        (256, 215, 388, 358),
        (250, 215, 385, 357),
        (250, 215, 385, 357),
        (245, 217, 384, 360),
    ),
    "asl-brother": (
        (227, 215, 364, 356),
        (227, 214, 364, 354),
        (228, 215, 367, 353),
        (228, 215, 362, 354),
        (228, 214, 364, 355),
    ),
    "asl-help": (
        (267, 215, 404, 360),
        (272, 216, 406, 360),
        (272, 208, 399, 355),
        (267, 215, 399, 356),
    ),
}
"""The skull printed on a shirt, which is no face."""

SPEECH_CUTS = (20, 82, 211)
"""The first frames after the cuts of stage-speech.mp4."""


def box_at(boxes: tuple[Corners, ...], index: int) -> Box:
    """Where it is in a frame: between the two nearest boxes; after the last one, there."""
    before, share = divmod(index, STEP)
    before, share = (before, share) if before < len(boxes) - 1 else (len(boxes) - 1, 0)
    after = min(before + 1, len(boxes) - 1)
    left, top, right, bottom = (
        a + (b - a) * share / STEP for a, b in zip(boxes[before], boxes[after], strict=True)
    )
    return Box(left=left, top=top, right=right, bottom=bottom)

"""Views: pure functions from a frame and its segmentation to a picture.

Nothing here remembers anything from one frame to the next, and nothing is ever written into the
frame. Only the boxes that hold labels are touched, so that a small face costs little.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtseg.errors import SettingError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.labels import LabelSet
from rtseg.settings import ViewSettings
from rtseg.views.colouring import mask, overlay, side_by_side
from rtseg.views.contour import contour
from rtseg.views.cutout import background_colour, cutout
from rtseg.views.hud import draw_hud
from rtseg.views.legend import draw_legend
from rtseg.views.privacy import blur, pixelate
from rtseg.views.selection import Chosen, choose

__all__ = ["SOFT_VIEWS", "check_view", "render", "rendered_size"]

SOFT_VIEWS = frozenset({"cutout", "blur"})
"""The views whose edges are those of soft masks, where the segmentation has them."""

COLOURED_VIEWS = frozenset({"overlay", "mask", "side-by-side", "contour"})
"""The views that show the classes' colours, and so have something for a legend to name."""


def render(
    frame: Frame,
    segmentation: Segmentation,
    settings: ViewSettings,
    *,
    alpha: bool = False,
    hud: Sequence[str] = (),
) -> Picture:
    """Draw one view.

    Args:
        frame: what was seen; its image is left as it is.
        segmentation: its labels, at the frame's size.
        settings: the view and its options. `classes` limits what is drawn in every view.
            A legend is drawn in the views that show colours. `opacity` is overlay's and
            side-by-side's.
        alpha: the output can hold transparency: cutout returns RGBA unless a colour is asked for.
            Without it, `transparent` is drawn as black.
        hud: lines of text for the top left corner; none, no text (`settings.hud` is the
            caller's to follow).

    Returns:
        A new picture, uint8 (height, width, 3) RGB, or (height, width, 4) RGBA with straight
        alpha, of `rendered_size`.

    Raises:
        SettingError: an unknown class, a background that is no colour, labels of another size.
    """
    if segmentation.labels.shape != frame.image.shape[:2]:
        raise SettingError(
            f"labels are {segmentation.labels.shape} for a frame of {frame.image.shape[:2]}; "
            "both must be the same (height, width)"
        )
    chosen = choose(segmentation.label_set, settings.classes)
    picture = _draw(frame, segmentation, settings, chosen, alpha=alpha)
    if settings.legend and settings.view in COLOURED_VIEWS:
        draw_legend(picture, segmentation, chosen, hud=tuple(hud))
    if hud:
        draw_hud(picture, hud, frame_width=frame.width)
    return picture


def _draw(
    frame: Frame, segmentation: Segmentation, settings: ViewSettings, chosen: Chosen, *, alpha: bool
) -> Picture:
    image = frame.image
    match settings.view:
        case "none":
            return image.copy()
        case "overlay":
            return overlay(image, segmentation, chosen, opacity=settings.opacity)
        case "mask":
            return mask(image, segmentation, chosen)
        case "side-by-side":
            return side_by_side(image, segmentation, chosen, opacity=settings.opacity)
        case "contour":
            return contour(image, segmentation, chosen)
        case "cutout":
            colour = background_colour(settings.background, alpha=alpha)
            return cutout(
                image,
                segmentation,
                chosen,
                colour=colour,
                invert=settings.invert,
                feather=settings.feather,
            )
        case "blur":
            return blur(
                image,
                segmentation,
                chosen,
                invert=settings.invert,
                feather=settings.feather,
            )
        case "pixelate":
            return pixelate(image, segmentation, chosen, invert=settings.invert)


def rendered_size(settings: ViewSettings, width: int, height: int) -> tuple[int, int]:
    """(width, height) in pixels of the view of a frame of `width` x `height` pixels."""
    return (2 * width if settings.view == "side-by-side" else width), height


def check_view(settings: ViewSettings, label_set: LabelSet, *, alpha: bool) -> None:
    """Refuse what `render` could not draw as asked, before a run starts.

    Raises:
        SettingError: an unknown class, a background that is no colour, or `transparent` where
            the output cannot hold it.
    """
    choose(label_set, settings.classes)
    background_colour(settings.background, alpha=alpha)
    if settings.view == "cutout" and settings.background == "transparent" and not alpha:
        raise SettingError(
            "`background` transparent: this output cannot hold transparency; "
            "write PNG or WebP files, or give a colour (#rrggbb)"
        )

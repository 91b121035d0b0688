"""Views: pure functions that draw a frame and its segmentation as a picture.

    from rtseg.views import register_view

    @register_view("grey")
    def grey(image, segmentation, chosen):
        return image.mean(2, keepdims=True).astype("uint8").repeat(3, 2)

They keep no state between frames and never modify the frame. Only the boxes that contain labels are
processed, so a small face costs little.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtseg.errors import SettingError
from rtseg.frames import Frame, Image, Picture, Segmentation
from rtseg.labels import LabelSet
from rtseg.settings import ViewSettings
from rtseg.view_registry import register_view
from rtseg.views.colouring import mask, overlay, side_by_side
from rtseg.views.contour import contour
from rtseg.views.cutout import background_colour, cutout
from rtseg.views.hud import draw_hud
from rtseg.views.legend import draw_legend
from rtseg.views.privacy import blur, pixelate
from rtseg.views.selection import Chosen, choose

__all__ = ["check_view", "register_view", "render", "rendered_size"]

register_view("overlay", shows_colours=True)(overlay)
register_view("mask", shows_colours=True)(mask)
register_view("side-by-side", shows_colours=True, is_wide=True)(side_by_side)
register_view("contour", shows_colours=True)(contour)
register_view("cutout", uses_soft_masks=True)(cutout)
register_view("blur", uses_soft_masks=True, hides_people=True)(blur)
register_view("pixelate", hides_people=True)(pixelate)


@register_view("none")
def unchanged(image: Image, _segmentation: Segmentation, _chosen: Chosen) -> Picture:
    """The picture itself."""
    return image.copy()


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
        frame: the frame; it is not modified.
        segmentation: its labels, at the frame's size.
        settings: the view and its options. `classes` limits what every view draws. The legend
            applies to views that show colours, `opacity` to overlay and side-by-side.
        alpha: whether the output supports transparency; if so, cutout returns RGBA unless a
            colour is set. Otherwise `transparent` is drawn as black.
        hud: lines of text for the top left corner. The caller decides whether to pass any;
            `settings.hud` is ignored here.

    Returns:
        A new picture, uint8 (height, width, 3) RGB, or (height, width, 4) RGBA with straight
        alpha, of `rendered_size`.

    Raises:
        SettingError: a class is unknown, the background is not a colour, or the labels differ in
            size from the frame.
    """
    if segmentation.labels.shape != frame.image.shape[:2]:
        raise SettingError(
            f"labels are {segmentation.labels.shape} for a frame of {frame.image.shape[:2]}; "
            "both must be the same (height, width)"
        )
    chosen = choose(segmentation.label_set, settings.classes)
    picture = _draw(frame, segmentation, settings, chosen, alpha=alpha)
    if settings.legend and settings.kind.shows_colours:
        draw_legend(picture, segmentation, chosen, hud=tuple(hud))
    if hud:
        draw_hud(picture, hud, frame_width=frame.width)
    return picture


def _draw(
    frame: Frame, segmentation: Segmentation, settings: ViewSettings, chosen: Chosen, *, alpha: bool
) -> Picture:
    kind = settings.kind
    options = {name: getattr(settings, name) for name in kind.options}
    if "background" in options:
        options["background"] = background_colour(settings.background, alpha=alpha)
    picture: Picture = kind.draw(frame.image, segmentation, chosen, **options)
    return picture


def rendered_size(settings: ViewSettings, width: int, height: int) -> tuple[int, int]:
    """(width, height) of the view of a frame of `width` x `height` pixels."""
    return (2 * width if settings.kind.is_wide else width), height


def check_view(settings: ViewSettings, label_set: LabelSet, *, alpha: bool) -> None:
    """Reject settings that `render` could not draw, before a run starts.

    Raises:
        SettingError: a class is unknown, the background is not a colour, or it is `transparent`
            and the output does not support that.
    """
    try:
        choose(label_set, settings.classes)
    except SettingError as error:
        raise SettingError(f"`classes`: {error}") from None
    background_colour(settings.background, alpha=alpha)
    if settings.view == "cutout" and settings.background == "transparent" and not alpha:
        raise SettingError(
            "`background` transparent: this output cannot hold transparency; "
            "write PNG or WebP files, or give a colour (#rrggbb)"
        )

"""The legend and the HUD: inside the picture, readable, clear of the face."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.frames import Segmentation
from rtseg.labels import HELEN, LabelSet
from rtseg.settings import ViewSettings
from rtseg.views import render
from rtseg.views.hud import hud_panel, panel_margin
from rtseg.views.legend import legend_panel, legend_place
from rtseg.views.panel import Panel, lay, line_of_text
from rtseg.views.selection import choose
from tests.views.drawn import scene

SIZES = [(320, 180), (640, 360), (1280, 720), (3840, 2160), (360, 640), (100, 60)]
CITY = LabelSet(
    name="city",
    names=tuple(f"a-rather-long-name-{i}" for i in range(40)),
    colours=tuple((5 * i, 255 - 5 * i, 100) for i in range(40)),
)


def changed(before, after):
    rows, columns = np.nonzero((before != after).any(axis=2))
    return rows, columns


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("label_set", [HELEN, CITY], ids=lambda s: s.name)
def test_the_legend_is_inside_the_picture(width, height, label_set):
    chosen = choose(label_set, ("all",))
    panel = legend_panel(chosen, width, height)
    margin = panel_margin(width, height)
    assert panel.size[0] <= width - 2 * margin
    assert panel.size[1] <= height - 2 * margin
    empty = Segmentation(labels=np.zeros((height, width), np.uint8), label_set=label_set)
    left, top = legend_place(empty, panel, hud_size=(width // 4, height // 6))
    assert left >= margin
    assert top >= margin
    assert left + panel.size[0] <= width
    assert top + panel.size[1] <= height


@pytest.mark.parametrize(("width", "height"), SIZES[:-1])
def test_the_legend_shows_every_chosen_colour_and_name(width, height):
    frame, segmentation = scene(width, height, heads=())
    frame.image[:] = 90
    picture = render(frame, segmentation, ViewSettings(legend=True))
    rows, columns = changed(frame.image, picture)
    panel = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    for label_id in HELEN.foreground:
        close = np.abs(panel.astype(int) - HELEN.colours[label_id]).max(axis=2) <= 2
        swatch_rows, swatch_columns = np.nonzero(close)
        assert len(swatch_rows) >= 9, HELEN.names[label_id]
        right = swatch_columns.max() + 1
        beside = panel[swatch_rows.min() : swatch_rows.max() + 1, right : right + len(panel)]
        assert (beside.min(axis=2) > 190).any(), f"no text beside {HELEN.names[label_id]}"


def test_the_legend_grows_with_the_picture():
    chosen = choose(HELEN, ("all",))
    heights = [
        legend_panel(chosen, w, h).size[1] for w, h in [(640, 360), (1280, 720), (3840, 2160)]
    ]
    assert heights[0] < 0.7 * heights[1]
    assert heights[2] == pytest.approx(3 * heights[1], rel=0.1)


def test_the_legend_lists_only_chosen_classes():
    frame, segmentation = scene(heads=())
    frame.image[:] = 90
    all_of_them = render(frame, segmentation, ViewSettings(legend=True))
    two = render(frame, segmentation, ViewSettings(legend=True, classes=("hair", "nose")))
    assert len(changed(frame.image, two)[0]) < 0.4 * len(changed(frame.image, all_of_them)[0])
    assert (np.abs(two.astype(int) - HELEN.colours[10]).max(axis=2) <= 2).any()
    assert not (np.abs(two.astype(int) - HELEN.colours[4]).max(axis=2) <= 2).any()


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1280, 720), (360, 640)])
@pytest.mark.parametrize("at", [(0.2, 0.7), (0.8, 0.7), (0.5, 0.5), (0.8, 0.3)])
def test_the_legend_avoids_the_face(width, height, at):
    size = 0.3 if height < width else 0.2
    _, segmentation = scene(width, height, ((*at, size),))
    chosen = choose(HELEN, ("all",))
    panel = legend_panel(chosen, width, height)
    left, top = legend_place(segmentation, panel, hud_size=(width // 6, height // 12))
    under = segmentation.labels[top : top + panel.size[1], left : left + panel.size[0]]
    assert (under > 0).mean() < 0.02


def test_the_legend_of_side_by_side_is_on_the_coloured_half():
    frame, segmentation = scene()
    picture = render(frame, segmentation, ViewSettings(view="side-by-side", legend=True))
    assert np.array_equal(picture[:, : frame.width], frame.image)


@pytest.mark.parametrize(("width", "height"), SIZES[:-1])
def test_the_legend_and_the_hud_do_not_overlap(width, height):
    _, segmentation = scene(width, height)
    hud, legend = (
        hud_panel(("29.8 FPS   24 ms", "overlay   1 face"), width, height),
        legend_panel(choose(HELEN, ("all",)), width, height),
    )
    left, top = legend_place(segmentation, legend, hud_size=hud.size)
    margin = panel_margin(width, height)
    assert left >= margin + hud.size[0] or top >= margin + hud.size[1]


@pytest.mark.parametrize("view", ["cutout", "blur", "pixelate"])
def test_views_without_colours_have_no_legend(view):
    frame, segmentation = scene()
    assert np.array_equal(
        render(frame, segmentation, ViewSettings(view=view, legend=True)),
        render(frame, segmentation, ViewSettings(view=view)),
    )


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("text", ["30 fps", "x" * 300, "0"])
def test_the_hud_is_inside_the_top_left_corner(width, height, text):
    panel = hud_panel((text, "24 ms"), width, height)
    margin = panel_margin(width, height)
    assert panel.size[0] <= width - 2 * margin
    assert panel.size[1] <= height - 2 * margin
    frame, segmentation = scene(width, height, heads=())
    frame.image[:] = 90
    picture = render(frame, segmentation, ViewSettings(), hud=(text, "24 ms"))
    rows, columns = changed(frame.image, picture)
    assert rows.min() >= margin
    assert columns.min() >= margin
    assert rows.max() < margin + panel.size[1]
    assert columns.max() < margin + panel.size[0]


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_the_hud_is_readable_on_any_background(ground):
    frame, segmentation = scene(1280, 720, heads=())
    frame.image[:] = ground
    picture = render(frame, segmentation, ViewSettings(), hud=("29.8 fps · 24 ms",))
    corner = picture[:60, :220]
    rows, columns = (corner > 225).all(axis=2).nonzero()
    inner = (
        corner[rows.min() : rows.max(), columns.min() : columns.max()]
        if ground < 225
        else (corner[20:40, 20:150])
    )
    assert inner.max() > 225
    assert np.median(inner) < 110


def test_the_hud_is_drawn_on_a_transparent_cutout():
    frame, segmentation = scene(heads=())
    picture = render(frame, segmentation, ViewSettings(view="cutout"), alpha=True, hud=("30 fps",))
    assert picture.shape[2] == 4
    assert 150 < picture[..., 3].max() <= 255
    assert (picture[..., :3][picture[..., 3] > 250] > 200).all()
    assert not picture[100:, :, 3].any()


def test_text_is_complete_and_missing_characters_are_replaced():
    assert line_of_text("5 µs", 20).tobytes() == line_of_text("5 us", 20).tobytes()
    wide, narrow = line_of_text("skin and hair", 20), line_of_text("skin", 20)
    assert wide.shape[0] == narrow.shape[0]
    assert not wide[:, -1].any(), "cut off at the right"
    assert not line_of_text("gjpqy", 20)[-1].all()


def test_a_panel_is_blended_with_the_picture():
    picture = np.full((4, 4, 3), 200, np.uint8)
    colours, cover = np.full((2, 2, 3), 50, np.uint8), np.full((2, 2), 128, np.uint8)
    lay(picture, Panel(colours, cover), 1, 1)
    assert np.abs(picture[1:3, 1:3].astype(int) - (50 + 200 * 127 / 255)).max() <= 1
    assert (picture[0] == 200).all()
    clear = np.zeros((4, 4, 4), np.uint8)
    lay(clear, Panel(colours, cover), 1, 1)
    assert clear[1, 1, 3] == 128
    assert abs(int(clear[1, 1, 0]) - 50 * 255 / 128) <= 1

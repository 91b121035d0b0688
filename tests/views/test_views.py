"""Every view: the right colours in the right places, and nothing else changed."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from rtseg import view_registry
from rtseg.errors import SettingError
from rtseg.frames import Box, Face, Segmentation
from rtseg.labels import HELEN, LabelSet
from rtseg.settings import ViewSettings
from rtseg.view_registry import views
from rtseg.views import check_view, register_view, render, rendered_size
from tests.views.drawn import around, inside, scene

VIEWS = tuple(views())
SEEN = (1, 2, 3, 4, 5, 6, 10)  # the classes that have an inside at this size


def detail(image, where):
    """Mean difference between neighbouring pixels, in grey levels."""
    grey = cv2.cvtColor(image[..., :3], cv2.COLOR_RGB2GRAY).astype(np.float32)
    step = np.abs(np.diff(grey, axis=1, append=0)) + np.abs(np.diff(grey, axis=0, append=0))
    return float(step[where].mean())


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("heads", [(), ((0.5, 0.5, 0.6),), ((0.2, 0.4, 0.5), (0.97, 0.8, 0.9))])
def test_a_view_has_the_right_size_and_leaves_the_frame_unchanged(view, heads):
    frame, segmentation = scene(heads=heads)
    image, labels = frame.image.copy(), segmentation.labels.copy()
    settings = ViewSettings(view=view, legend=True)
    picture = render(frame, segmentation, settings, hud=("30 fps",))
    width, height = rendered_size(settings, frame.width, frame.height)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    assert not np.shares_memory(picture, frame.image)
    assert np.array_equal(frame.image, image)
    assert np.array_equal(segmentation.labels, labels)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_a_read_only_frame_is_drawn(view):
    frame, segmentation = scene()
    frame.image.flags.writeable = False
    segmentation.labels.flags.writeable = False
    render(frame, segmentation, ViewSettings(view=view, legend=True), hud=("30 fps",))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2), (16, 9), (641, 33)])
def test_a_tiny_or_odd_frame_is_drawn(view, width, height):
    frame, segmentation = scene(width, height)
    for classes in (("all",), ("eyes",)):
        settings = ViewSettings(view=view, legend=True, classes=classes)
        picture = render(frame, segmentation, settings, hud=("30 fps", "12 ms"))
        assert picture.shape[:2] == rendered_size(settings, width, height)[::-1]


def test_overlay_blends_each_class_and_keeps_the_rest_bit_for_bit():
    frame, segmentation = scene()
    picture = render(frame, segmentation, ViewSettings(opacity=0.4))
    for label_id in SEEN:
        where = inside(segmentation, label_id)
        assert where.any()
        expected = 0.6 * frame.image[where] + 0.4 * np.array(HELEN.colours[label_id])
        assert np.abs(picture[where] - expected).max() <= 1
    background = segmentation.labels == 0
    assert np.array_equal(picture[background], frame.image[background])


def test_overlay_at_zero_opacity_is_the_frame_and_at_one_the_colours():
    frame, segmentation = scene()
    assert np.array_equal(render(frame, segmentation, ViewSettings(opacity=0.0)), frame.image)
    solid = render(frame, segmentation, ViewSettings(opacity=1.0))
    where = inside(segmentation, 10)
    assert (solid[where] == HELEN.colours[10]).all()


def test_mask_contains_only_the_palette():
    frame, segmentation = scene()
    picture = render(frame, segmentation, ViewSettings(view="mask"))
    assert np.array_equal(picture, np.array(HELEN.colours, np.uint8)[segmentation.labels])


def test_side_by_side_is_the_frame_and_its_overlay():
    frame, segmentation = scene()
    picture = render(frame, segmentation, ViewSettings(view="side-by-side"))
    assert np.array_equal(picture[:, : frame.width], frame.image)
    assert np.array_equal(
        picture[:, frame.width :], render(frame, segmentation, ViewSettings(view="overlay"))
    )


def test_contour_draws_lines_of_each_colour_along_the_edges_only():
    frame, segmentation = scene(1280, 720)
    picture = render(frame, segmentation, ViewSettings(view="contour"))
    changed = (picture != frame.image).any(axis=2)
    edges = np.zeros(segmentation.labels.shape, np.uint8)
    for label_id in HELEN.foreground:
        where = (segmentation.labels == label_id).astype(np.uint8)
        edges |= cv2.morphologyEx(where, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    assert not (changed & (cv2.dilate(edges, np.ones((13, 13), np.uint8)) == 0)).any()
    for label_id in SEEN:
        close = np.abs(picture.astype(int) - HELEN.colours[label_id]).max(axis=2) <= 3
        outline = (segmentation.labels == label_id).astype(np.uint8)
        assert (close & (cv2.dilate(outline, np.ones((9, 9), np.uint8)) > 0)).sum() > 20


@pytest.mark.parametrize("view", ["overlay", "mask", "side-by-side", "contour"])
def test_classes_limit_what_is_coloured(view):
    frame, segmentation = scene()
    settings = ViewSettings(view=view, classes=("hair", "eyes"), opacity=1.0)
    picture = render(frame, segmentation, settings)[:, -frame.width :]
    base = np.zeros_like(frame.image) if view == "mask" else frame.image
    for label_id in (1, 6):
        where = inside(segmentation, label_id, by=7)
        assert np.array_equal(picture[where], base[where])
    if view != "contour":
        assert (picture[inside(segmentation, 10)] == HELEN.colours[10]).all()
        assert (picture[inside(segmentation, 4, by=2)] == HELEN.colours[4]).all()


@pytest.mark.parametrize("invert", [False, True])
def test_cutout_keeps_the_chosen_classes_on_a_colour(invert):
    frame, segmentation = scene()
    settings = ViewSettings(view="cutout", classes=("hair",), background="#12ab90", invert=invert)
    picture = render(frame, segmentation, settings)
    hair, rest = inside(segmentation, 10), (segmentation.labels != 10)
    kept, removed = (inside_of(rest), hair) if invert else (hair, rest)
    assert np.array_equal(picture[kept], frame.image[kept])
    assert (picture[removed] == (0x12, 0xAB, 0x90)).all()


def inside_of(where):
    return cv2.erode(where.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0


@pytest.mark.parametrize("invert", [False, True])
def test_cutout_with_alpha_contains_nothing_of_the_removed_part(invert):
    frame, segmentation = scene()
    settings = ViewSettings(view="cutout", classes=("hair",), invert=invert)
    picture = render(frame, segmentation, settings, alpha=True)
    assert picture.shape == (*frame.image.shape[:2], 4)
    hair, rest = inside(segmentation, 10), segmentation.labels != 10
    kept, removed = (inside_of(rest), hair) if invert else (hair, rest)
    assert np.array_equal(picture[kept][:, :3], frame.image[kept])
    assert (picture[kept][:, 3] == 255).all()
    assert not picture[removed].any()
    assert set(np.unique(picture[..., 3])) - {0, 255}, "the edge is not softened"


def test_cutout_background_depends_on_the_output():
    frame, segmentation = scene()
    away = ~around(segmentation, by=3)
    for background in ("auto", "transparent"):
        settings = ViewSettings(view="cutout", background=background)
        assert render(frame, segmentation, settings, alpha=True).shape[2] == 4
        black = render(frame, segmentation, settings, alpha=False)
        assert black.shape[2] == 3
        assert not black[away].any()
    colour = ViewSettings(view="cutout", background="#0000ff")
    blue = render(frame, segmentation, colour, alpha=True)
    assert blue.shape[2] == 3
    assert (blue[away] == (0, 0, 255)).all()


@pytest.mark.parametrize("background", ["red", "#12", "#gg0000", "", "#1234567"])
def test_an_invalid_background_is_refused(background):
    frame, segmentation = scene()
    settings = ViewSettings(view="cutout", background=background)
    with pytest.raises(SettingError, match="#rrggbb"):
        render(frame, segmentation, settings)


@pytest.mark.parametrize("view", ["blur", "pixelate"])
@pytest.mark.parametrize("size", [0.12, 0.33, 0.9])
@pytest.mark.parametrize("with_faces", [True, False])
def test_privacy_destroys_the_detail_of_faces_and_touches_nothing_far_from_them(
    view, size, with_faces
):
    frame, segmentation = scene(960, 540, ((0.4, 0.5, size),), with_faces=with_faces)
    picture = render(frame, segmentation, ViewSettings(view=view))
    face = segmentation.labels > 0
    assert detail(picture, face) < 0.12 * detail(frame.image, face)
    far = ~around(segmentation, by=round(0.3 * size * 540) + 4)
    assert np.array_equal(picture[far], frame.image[far])


@pytest.mark.parametrize("view", ["blur", "pixelate"])
def test_privacy_makes_faces_with_equal_averages_indistinguishable(view):
    """What is drawn over a face depends on its coarse averages, not on its features."""
    frame, segmentation = scene(960, 540, ((0.5, 0.5, 0.6),))
    other = frame.image.copy()
    face = segmentation.labels > 0
    # Another fine pattern in the face: every second pixel brighter, its neighbour darker.
    pattern = np.where((np.indices(face.shape).sum(0) // 3) % 2, 40, -40)[..., None]
    other[face] = (other.astype(int) + pattern).clip(0, 255).astype(np.uint8)[face]
    settings = ViewSettings(view=view)
    one = render(frame, segmentation, settings)
    two = render(dataclasses.replace(frame, image=other), segmentation, settings)
    assert np.abs(frame.image.astype(int) - other)[face].mean() > 30
    assert np.abs(one.astype(int) - two)[face].mean() < 2.5


@pytest.mark.parametrize("view", ["blur", "pixelate"])
def test_privacy_leaves_no_rim(view):
    """The first pixels outside the mask are hidden too, because a mask is never exact."""
    frame, segmentation = scene(1280, 720, ((0.5, 0.5, 0.5),))
    picture = render(frame, segmentation, ViewSettings(view=view))
    rim = around(segmentation, by=3) & (segmentation.labels == 0)
    assert detail(picture, rim) < 0.35 * detail(frame.image, rim)


@pytest.mark.parametrize("view", ["blur", "pixelate"])
def test_inverted_privacy_keeps_the_face_and_hides_the_rest(view):
    frame, segmentation = scene(960, 540)
    picture = render(frame, segmentation, ViewSettings(view=view, invert=True))
    head = (segmentation.labels > 0).astype(np.uint8)
    kept = cv2.erode(head, np.ones((61, 61), np.uint8)) > 0
    assert kept.mean() > 0.05
    assert np.array_equal(picture[kept], frame.image[kept])
    hidden = segmentation.labels == 0
    assert detail(picture, hidden) < 0.15 * detail(frame.image, hidden)


@pytest.mark.parametrize("view", ["blur", "pixelate"])
def test_inverted_privacy_without_a_face_hides_everything(view):
    frame, segmentation = scene(heads=())
    picture = render(frame, segmentation, ViewSettings(view=view, invert=True))
    everywhere = np.ones(segmentation.labels.shape, bool)
    assert detail(picture, everywhere) < 0.15 * detail(frame.image, everywhere)
    assert np.array_equal(render(frame, segmentation, ViewSettings(view=view)), frame.image)


@pytest.mark.parametrize("view", ["blur", "pixelate"])
def test_privacy_strength_depends_on_the_face_not_on_the_chosen_classes(view):
    frame, segmentation = scene(960, 540)
    picture = render(frame, segmentation, ViewSettings(view=view, classes=("eyes",)))
    eyes = np.isin(segmentation.labels, (4, 5))
    assert detail(picture, eyes) < 0.2 * detail(frame.image, eyes)
    mouth = inside(segmentation, 9, by=1)
    assert np.array_equal(picture[mouth], frame.image[mouth])


def test_pixels_outside_the_faces_boxes_are_painted():
    """Two faces are drawn box by box, but the labels decide."""
    frame, segmentation = scene(heads=((0.25, 0.5, 0.5), (0.75, 0.5, 0.5)))
    faces = tuple(
        Face(
            box=Box(left=f.box.left + 20, top=f.box.top, right=f.box.right, bottom=f.box.bottom),
            track_id=f.track_id,
            score=1.0,
        )
        for f in segmentation.faces
    )
    wrong = Segmentation(labels=segmentation.labels, label_set=HELEN, faces=faces)
    for view in ("mask", "overlay"):
        settings = ViewSettings(view=view)
        assert np.array_equal(render(frame, wrong, settings), render(frame, segmentation, settings))


STREETS = LabelSet(
    name="streets",
    names=("road", "car", "sky"),
    colours=((128, 64, 128), (0, 0, 142), (70, 130, 180)),
    background=None,
)


@pytest.mark.parametrize("view", VIEWS)
def test_a_label_set_without_background_is_drawn_everywhere(view):
    frame, _ = scene()
    labels = np.zeros(frame.image.shape[:2], np.uint8)
    labels[100:260, 200:400], labels[:80] = 1, 2
    segmentation = Segmentation(labels=labels, label_set=STREETS)
    picture = render(frame, segmentation, ViewSettings(view=view, legend=True))
    if view == "mask":
        bare = render(frame, segmentation, ViewSettings(view="mask"))
        assert np.array_equal(bare, np.array(STREETS.colours, np.uint8)[labels])
    assert picture.shape[0] == frame.height


def test_a_background_other_than_id_zero_is_left_unpainted():
    label_set = dataclasses.replace(STREETS, background=2)
    frame, _ = scene()
    labels = np.full(frame.image.shape[:2], 2, np.uint8)
    labels[100:260, 200:400] = 0
    segmentation = Segmentation(labels=labels, label_set=label_set)
    picture = render(frame, segmentation, ViewSettings(opacity=1.0))
    assert np.array_equal(picture[labels == 2], frame.image[labels == 2])
    assert (picture[110:250, 210:390] == STREETS.colours[0]).all()


def test_an_unknown_class_and_labels_of_another_size_are_refused():
    frame, segmentation = scene()
    with pytest.raises(SettingError, match="unknown class 'nostril'"):
        render(frame, segmentation, ViewSettings(classes=("nostril",)))
    other = Segmentation(labels=np.zeros((4, 4), np.uint8), label_set=HELEN)
    with pytest.raises(SettingError, match=r"\(4, 4\)"):
        render(frame, other, ViewSettings())


def test_undrawable_settings_are_refused_before_the_run():
    check_view(ViewSettings(view="cutout", background="transparent"), HELEN, alpha=True)
    check_view(ViewSettings(view="cutout"), HELEN, alpha=False)
    for settings in (
        ViewSettings(view="cutout", background="transparent"),
        ViewSettings(background="blue"),
        ViewSettings(classes=("ear",)),
    ):
        with pytest.raises(SettingError):
            check_view(settings, HELEN, alpha=False)


def test_neighbouring_colours_differ_from_each_other_and_from_skin():
    """Distances in CIELAB: 10 is a clear difference; 25 between touching parts is unmistakable."""
    table = np.array([HELEN.colours], np.float32) / 255
    lab = cv2.cvtColor(table, cv2.COLOR_RGB2LAB)[0]
    for a in HELEN.foreground:
        for b in HELEN.foreground:
            if a < b:
                assert np.linalg.norm(lab[a] - lab[b]) > 20, (HELEN.names[a], HELEN.names[b])
    person = cv2.cvtColor(np.array([[[224, 172, 140]]], np.float32) / 255, cv2.COLOR_RGB2LAB)[0, 0]
    for a in HELEN.foreground:
        assert np.linalg.norm(lab[a] - person) > 35, HELEN.names[a]


@pytest.mark.parametrize("view", ["blur", "pixelate"])
@pytest.mark.parametrize("heads", [(), ((0.2, 0.5, 0.5),)])
def test_privacy_hides_the_area_of_a_recently_lost_face(view, heads):
    frame, segmentation = scene(heads=heads)
    rng = np.random.default_rng(1)
    frame = dataclasses.replace(
        frame, image=rng.integers(0, 256, frame.image.shape).astype(np.uint8)
    )
    height, width = segmentation.labels.shape
    place = Box(left=0.6 * width, top=0.3 * height, right=0.95 * width, bottom=1.2 * height)
    held = dataclasses.replace(segmentation, held=(place,))
    where = np.zeros((height, width), bool)
    where[round(0.3 * height) + 3 :, round(0.6 * width) + 3 : round(0.95 * width) - 3] = True
    shown = render(frame, segmentation, ViewSettings(view=view))
    hidden = render(frame, held, ViewSettings(view=view))
    assert detail(shown, where) > 50
    assert detail(hidden, where) < 12
    # whatever the chosen classes, since nobody knows what is there now
    only_eyes = render(frame, held, ViewSettings(view=view, classes=("eyes",)))
    assert detail(only_eyes, where) < 12


def test_a_registered_view_gets_the_settings_that_it_asks_for(monkeypatch):
    monkeypatch.setitem(view_registry._views, "dimmed", None)  # removed again afterwards

    @register_view("dimmed", is_wide=True)
    def dimmed(image, segmentation, chosen, *, opacity, background):
        seen = opacity, background, chosen.names, segmentation.labels.shape
        return {"image": image, "seen": seen}

    frame, segmentation = scene()
    settings = ViewSettings(view="dimmed", opacity=0.25, background="#010203", classes=("eyes",))
    drawn = render(frame, segmentation, settings)
    assert drawn["image"] is frame.image
    assert drawn["seen"] == (0.25, (1, 2, 3), ("left-eye", "right-eye"), (360, 640))
    assert rendered_size(settings, 40, 30) == (80, 30)
    assert view_registry.views_of_equal_size("dimmed") == ["side-by-side", "dimmed"]


def test_what_a_view_asks_for_must_be_a_setting():
    for option in view_registry.OPTIONS:
        assert option in ViewSettings.__dataclass_fields__
    before = tuple(views())
    with pytest.raises(SettingError, match="view dimmed: asks for gamma; allowed: opacity, "):
        register_view("dimmed")(lambda image, segmentation, chosen, *, gamma: image)
    with pytest.raises(SettingError, match="a view's name is 'A view'; allowed: lower-case"):
        register_view("A view")
    with pytest.raises(TypeError):
        register_view("dimmed", is_tall=True)(lambda image, segmentation, chosen: image)
    assert tuple(views()) == before

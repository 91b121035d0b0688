"""Views with soft edges: cutouts and feathered blurs."""

import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.frames import Frame
from rtseg.settings import ViewSettings
from rtseg.views import render
from tests.effects.portrait import portrait
from tests.views.drawn import scene


def frame_of(image):
    from fractions import Fraction

    return Frame(image=image, index=0, pts=0, time_base=Fraction(1, 30))


def drawn(image, result, *, alpha=True, **view):
    return render(frame_of(image), result, ViewSettings(**view), alpha=alpha)


def test_a_cutout_has_the_soft_mask_as_its_transparency():
    image, result = portrait()
    made = drawn(image, result, view="cutout", classes=("hair", "face"))
    # except for faint values, which must leave nothing in a cut-out picture
    alpha = ((result.alpha("hair", "face") - 0.05) / 0.9).clip(0, 1)
    assert np.abs(made[..., 3] / 255 - alpha).max() < 0.01
    inverse = drawn(image, result, view="cutout", classes=("hair", "face"), invert=True)
    assert np.abs(inverse[..., 3] / 255 - (1 - alpha)).max() < 0.01


@pytest.mark.parametrize("feather", [1.0, 6.0, 25.0])
@pytest.mark.parametrize("soft", [False, True])
def test_a_feather_fades_outwards_only(feather, soft):
    if soft:
        image, result = portrait()
        picture = frame_of(image)
    else:
        picture, result = scene()
    made = render(
        picture,
        result,
        ViewSettings(view="cutout", classes=("all",), feather=feather),
        alpha=True,
    )[..., 3]
    import cv2

    inside = result.mask("all")
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    assert (made[inside] == 255).all()
    if not soft:
        assert (made[away > feather + 2] == 0).all()
    half = (away > 0.4 * feather) & (away < 0.6 * feather)
    if feather > 3 and half.any():
        assert 60 < np.median(made[half]) < 200
    rising = [made[(away > d) & (away <= d + 1)].mean() for d in range(int(feather))]
    assert (np.diff(rising) < 1).all()


def test_a_feathered_blur_hides_no_less_than_a_plain_one():
    image, result = portrait(grain=40.0)
    plain = drawn(image, result, view="blur", classes=("face",), alpha=False)
    soft = drawn(image, result, view="blur", classes=("face",), feather=15.0, alpha=False)
    face = result.mask("face")

    def left_over(made):
        return (np.abs(made.astype(int) - image).max(2) < 2) & face

    assert left_over(soft).sum() <= left_over(plain).sum() + 5
    assert (soft != image).any(2).sum() > (plain != image).any(2).sum()
    assert not (soft != image).any(2)[:20].any()


def test_the_view_none_is_the_unchanged_picture():
    image, result = portrait()
    assert (drawn(image, result, view="none") == image).all()
    assert drawn(image, result, view="none") is not image


def test_a_feather_out_of_range_is_refused():
    with pytest.raises(SettingError, match="feather"):
        ViewSettings(feather=-1.0)

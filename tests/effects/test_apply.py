"""Effects applied to pictures and streams, whatever the label set."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from rtseg.effects import (
    EFFECTS,
    ColourMemory,
    EffectChain,
    Recolour,
    Retouch,
    apply_effects,
    parse_effect,
)
from rtseg.effects.parts import ids_of
from rtseg.errors import SettingError
from rtseg.frames import Frame, Segmentation
from rtseg.labels import BDD_DRIVABLE, CELEBAMASK, FACE_PARTS, FASSEG, HELEN
from tests.effects.portrait import core, lab, portrait

EXAMPLES = {
    "lips": "lips=#b0122a:0.75",
    "hair": "hair=#6a2c70",
    "brows": "brows=saddlebrown",
    "skin": "skin=0.5",
    "teeth": "teeth=.7",
    "eyes": "eyes=0.3",
    "background": "background=blur:12",
}


@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_changes_a_copy_reproducibly(name):
    image, result = portrait(colours={8: (214, 200, 158)})
    before = image.copy()
    made = apply_effects(image, result, [EXAMPLES[name]])
    assert (image == before).all()
    assert made.dtype == np.uint8
    assert made.shape == image.shape
    assert (made != image).any()
    assert (apply_effects(image, result, [EXAMPLES[name]]) == made).all()


# the painted ids 0..10 as CelebAMask's ids; left is the subject's there
CELEBA_IDS = (0, 1, 7, 6, 5, 4, 2, 11, 10, 12, 13)


@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_finds_its_part_in_a_larger_label_set(name):
    image, result = portrait()
    _, other = portrait(label_set=CELEBAMASK, ids=CELEBA_IDS)
    parse_effect(EXAMPLES[name]).check(CELEBAMASK)
    made = apply_effects(image, other, [EXAMPLES[name]])
    assert (made == apply_effects(image, result, [EXAMPLES[name]])).all()


@pytest.mark.parametrize("name", sorted(set(EFFECTS) - {"background"}))
def test_a_model_without_the_part_is_refused_before_a_run(name):
    with pytest.raises(SettingError, match=f"the model has no {name}.*'bdd-drivable'") as caught:
        parse_effect(EXAMPLES[name]).check(BDD_DRIVABLE)
    assert "\n" not in str(caught.value)


def test_a_part_is_told_by_its_role_not_by_its_name():
    renamed = replace(FASSEG, names=("background", "haut", "haare", "nase", "augen", "mund"))
    parse_effect("hair=red").check(renamed)
    with pytest.raises(SettingError, match=r"no class of .* has the role 'lips'"):
        parse_effect("lips=red").check(renamed)


def test_smoother_skin_covers_ears_and_neck_where_a_model_has_them():
    assert ids_of(FACE_PARTS, "skin") == (1, 6, 11, 12, 17)
    assert ids_of(FACE_PARTS, "teeth") == (8,)
    assert ids_of(CELEBAMASK, "lips") == (11, 12)


@pytest.mark.parametrize(
    "text",
    [
        "lips",
        "lips=",
        "=#ffffff",
        "beard=#000000",
        "lips=reddish",
        "lips=#b0122a:1.5",
        "lips=#b0122a:strong",
        "lips=#b0122a:nan",
        "hair=#12345",
        "skin=2",
        "skin=-0.1",
        "skin=much",
        "teeth=inf",
        "background=blur:0",
        "background=blur:1e9",
        "background=blur:nan",
        "background=blur:wide",
        "background=nowhere.jpg",
    ],
)
def test_a_wrong_effect_is_one_line_with_the_allowed_values(text):
    with pytest.raises(SettingError, match=r"^`effect`.*allowed: ") as caught:
        parse_effect(text)
    assert "\n" not in str(caught.value)


def test_values_are_parsed_as_they_are_written():
    assert parse_effect(" lips = #B0122A:.75") == Recolour(
        part="lips", colour=(176, 18, 42), strength=0.75
    )
    assert parse_effect("HAIR=purple").colour == (128, 0, 128)
    assert parse_effect("skin=1") == Retouch(part="skin", strength=1.0)
    assert parse_effect("background=blur").blur == 12.0
    assert parse_effect("background=#0f0").colour == (0, 255, 0)
    with pytest.raises(SettingError, match="0 to 1"):
        Retouch(part="skin", strength=3.0)
    with pytest.raises(SettingError, match="allowed: lips, hair"):
        Recolour(part="nose", colour=(1, 2, 3), strength=0.5)


def test_a_result_of_another_size_is_refused():
    image, result = portrait()
    with pytest.raises(SettingError, match="soft=True"):
        apply_effects(image, Segmentation(labels=result.labels, label_set=HELEN), ["lips=#b0122a"])
    with pytest.raises(SettingError, match="must be the same"):
        apply_effects(image[:100], result, ["lips=#b0122a"])


def test_colours_are_smoothed_over_time():
    """When the light flickers, recoloured hair flickers as much, and no more."""
    memory = ColourMemory()
    spread = {True: [], False: []}
    for index in range(12):
        image, result = portrait(seed=index, grain=4.0)
        hair = core(result, "hair")
        # the hair mask flickers: a third of it is pale in every other frame
        pale = hair & (np.arange(image.shape[1]) % 3 == 0) & (index % 2 == 0)
        image[pale] = (150, 150, 150)
        rest = hair & (np.arange(image.shape[1]) % 3 == 1)
        memory.begin(index / 30)
        for held in spread:
            made = apply_effects(image, result, ["hair=#b5532a"], memory=memory if held else None)
            spread[held].append(lab(made)[rest].mean(0))
    changes = {held: np.abs(np.diff(values[2:], axis=0)).mean() for held, values in spread.items()}
    assert changes[True] < 0.4 * changes[False]


def test_the_memory_keeps_tracks_and_streams_apart():
    memory = ColourMemory()
    memory.begin(0.0)
    memory.steadied("hair", 1, np.array([10.0]))
    memory.begin(0.04)
    assert memory.steadied("hair", 2, np.array([90.0])) == 90
    assert memory.steadied("lips", 1, np.array([50.0])) == 50
    assert 10 < memory.steadied("hair", 1, np.array([20.0]))[0] < 11
    memory.begin(9.0)
    assert memory.steadied("hair", 1, np.array([70.0])) == 70
    memory.begin(9.04)
    memory.reset()
    assert memory.steadied("hair", 1, np.array([30.0])) == 30
    memory.begin(1.0)  # the stream went back in time
    assert memory.steadied("hair", 1, np.array([40.0])) == 40


def test_a_chain_goes_with_a_stream():
    image, result = portrait()
    chain = EffectChain(["hair=#b5532a", "lips=#b0122a"])

    def frame(index, picture, **changes):
        return Frame(image=picture, index=index, pts=index, time_base=Fraction(1, 30), **changes)

    first = chain(frame(0, image), result)
    assert (first == apply_effects(image, result, ["hair=#b5532a", "lips=#b0122a"])).all()
    # the light increases suddenly: the stream follows slowly, a cut at once
    bright = np.minimum(image.astype(int) + 60, 255).astype(np.uint8)
    alone = apply_effects(bright, result, ["hair=#b5532a", "lips=#b0122a"])
    assert (chain(frame(1, bright), result) != alone).any()
    assert (chain(frame(2, bright, discontinuity=True), result) == alone).all()
    with pytest.raises(SettingError, match="the model has no hair"):
        chain.check(BDD_DRIVABLE)
    chain.check(HELEN)

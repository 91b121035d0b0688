"""Label sets: their names, roles and groups, and their headers."""

import copy
import pickle

import pytest

from rtseg.errors import SettingError
from rtseg.labels import CELEBAMASK, FACE_PARTS, FURTHER_ROLES, HELEN, LABEL_SETS, LabelSet


def test_helen_has_the_published_ids():
    assert HELEN.names.index("skin") == 1
    assert HELEN.names.index("hair") == 10
    assert len(HELEN) == 11
    assert HELEN.background == 0
    assert set(HELEN.face) == set(range(1, 10))
    assert LABEL_SETS["helen"] is HELEN


def test_left_and_right_swap_within_their_kind():
    for first, second in HELEN.flip_pairs:
        assert HELEN.names[first].replace("left", "right") == HELEN.names[second]


def test_colours_are_distinct():
    assert len(set(HELEN.colours)) == len(HELEN.colours)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (["skin"], (1,)),
        (["hair", "skin", "skin"], (1, 10)),
        (["lips"], (7, 9)),
        (["mouth", "nose"], (6, 7, 8, 9)),
        ([" Left_Eye ", "right eye"], (4, 5)),
        (["all"], tuple(range(1, 11))),
        (["all", "background"], tuple(range(11))),
    ],
)
def test_names_groups_and_all_can_be_selected(wanted, ids):
    assert HELEN.select(wanted) == ids


def test_auto_leaves_out_what_would_end_at_a_crops_edge():
    assert HELEN.select(["auto"]) == HELEN.select(["all"])
    clothes = FACE_PARTS.names.index("clothes")
    assert set(FACE_PARTS.select(["all"])) - set(FACE_PARTS.select(["auto"])) == {clothes}
    assert clothes in FACE_PARTS.select(["auto", "clothes"])


def test_a_header_of_an_older_version_cuts_nothing_off():
    header = FACE_PARTS.to_header()
    assert LabelSet.from_header(header) == FACE_PARTS
    del header["cut_off"]
    assert LabelSet.from_header(header).cut_off == ()


def test_an_unknown_name_lists_the_allowed_ones():
    allowed = "unknown class 'nostril'; allowed: all, auto, background"
    with pytest.raises(SettingError, match=allowed):
        HELEN.select(["skin", "nostril"])
    with pytest.raises(SettingError, match="no class given"):
        HELEN.select([])


def test_header_and_pickle_give_the_same_set():
    assert LabelSet.from_header(HELEN.to_header()) == HELEN
    assert pickle.loads(pickle.dumps(HELEN)) == HELEN
    assert copy.deepcopy(HELEN) == HELEN


def test_a_set_is_immutable():
    with pytest.raises(TypeError):
        HELEN.groups["eyes"] = (1,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ("one",), "colours": ((0, 0, 0),)}, "has 1 classes"),
        ({"colours": ((0, 0, 0),)}, "2 names but 1 colours"),
        ({"names": ("back", "Face")}, "'Face' is not lower-case"),
        ({"names": ("back", "back")}, "occurs twice"),
        ({"groups": {"back": (0,)}}, "occurs twice"),
        ({"colours": ((0, 0, 0), (0, 0, 256))}, "three channels"),
        ({"left_means": "mine"}, "left means 'mine'"),
        ({"face": (2,)}, "id 2 is outside 0..1"),
        ({"background": -1}, "id -1 is outside"),
        ({"flip_pairs": ((0, 5),)}, "id 5 is outside"),
        ({"groups": {"both": (0, 7)}}, "id 7 is outside"),
        ({"skin": (1,)}, "id 1 is skin, but not part of the face"),
        ({"face": (1,), "skin": (1,), "nose": (1,)}, "id 1 is both skin and nose"),
        ({"face": (1,), "mouth": (1,), "lips": (0,)}, "id 0 is lips, but not part of the mouth"),
        ({"ears": (1,), "neck": (1,)}, "id 1 is both ears and neck"),
        ({"clothes": (2,)}, "id 2 is outside 0..1"),
        ({"face": (1,), "head": (0,)}, "id 1 is face or hair, but not part of the head"),
    ],
)
def test_bad_sets_are_refused(changes, message):
    fields = {"name": "two", "names": ("back", "face"), "colours": ((0, 0, 0), (9, 9, 9))}
    with pytest.raises(SettingError, match=message):
        LabelSet(**(fields | changes))


@pytest.mark.parametrize("field", sorted(set(HELEN.to_header()) - {"cut_off", *FURTHER_ROLES}))
def test_a_header_without_a_field_is_refused(field):
    header = HELEN.to_header()
    del header[field]
    with pytest.raises(SettingError, match="damaged"):
        LabelSet.from_header(header)


@pytest.mark.parametrize(
    "field", ["names", "colours", "face", "hair", "head", "skin", "flip_pairs", "groups"]
)
@pytest.mark.parametrize("value", [None, 3, [[[]]], [None]])
def test_a_header_with_a_field_of_another_type_is_refused(field, value):
    with pytest.raises(SettingError) as caught:
        LabelSet.from_header(HELEN.to_header() | {field: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("label_set", LABEL_SETS.values(), ids=lambda s: s.name)
def test_a_header_older_than_a_role_tells_it_by_the_names_of_its_classes(label_set):
    header = label_set.to_header()
    for role in FURTHER_ROLES:
        del header[role]
    assert LabelSet.from_header(header) == label_set


def test_lips_outside_the_mouth_of_an_older_header_have_no_role():
    header = HELEN.to_header() | {"mouth": [8]}
    for role in FURTHER_ROLES:
        del header[role]
    assert LabelSet.from_header(header).lips == ()


def test_a_header_of_version_0_1_is_read():
    """Version 0.1 used other names, and had no roles."""
    header = HELEN.to_header()
    for role in ("skin", "brows", "eyes", "nose", "mouth", "head", *FURTHER_ROLES):
        del header[role]
    header["swapped"], header["merged"] = header.pop("flip_pairs"), header.pop("groups")
    assert LabelSet.from_header(header) == HELEN


@pytest.mark.parametrize("label_set", [HELEN, FACE_PARTS, CELEBAMASK], ids=lambda s: s.name)
def test_roles_match_the_names(label_set):
    for role in ("brows", "eyes", "mouth"):
        assert getattr(label_set, role) == label_set.groups[role]
    assert [label_set.names[i] for i in (*label_set.skin, *label_set.nose, *label_set.hair)] == [
        "skin",
        "nose",
        "hair",
    ]
    assert {*label_set.face, *label_set.hair} <= set(label_set.head)
    assert label_set.face_parts == (
        label_set.brows,
        label_set.eyes,
        label_set.nose,
        label_set.mouth,
    )

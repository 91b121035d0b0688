import copy
import pickle

import pytest

from rtseg.errors import SettingError
from rtseg.labels import HELEN, LABEL_SETS, LabelSet


def test_helen_has_the_published_ids():
    assert HELEN.names.index("skin") == 1
    assert HELEN.names.index("hair") == 10
    assert len(HELEN) == 11
    assert HELEN.background == 0
    assert set(HELEN.face) == set(range(1, 10))
    assert LABEL_SETS["helen"] is HELEN


def test_left_and_right_swap_with_their_own_kind():
    for first, second in HELEN.swapped:
        assert HELEN.names[first].replace("left", "right") == HELEN.names[second]


def test_colours_are_told_apart():
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
def test_select(wanted, ids):
    assert HELEN.select(wanted) == ids


def test_select_names_what_is_allowed():
    with pytest.raises(SettingError, match="unknown class 'nostril'; allowed: all, background"):
        HELEN.select(["skin", "nostril"])
    with pytest.raises(SettingError, match="no class given"):
        HELEN.select([])


def test_header_and_pickle_give_the_same_set_back():
    assert LabelSet.from_header(HELEN.to_header()) == HELEN
    assert pickle.loads(pickle.dumps(HELEN)) == HELEN
    assert copy.deepcopy(HELEN) == HELEN


def test_a_set_cannot_be_changed():
    with pytest.raises(TypeError):
        HELEN.merged["eyes"] = (1,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ("one",), "colours": ((0, 0, 0),)}, "has 1 classes"),
        ({"colours": ((0, 0, 0),)}, "2 names but 1 colours"),
        ({"names": ("back", "Face")}, "'Face' is not lower-case"),
        ({"names": ("back", "back")}, "stands twice"),
        ({"merged": {"back": (0,)}}, "stands twice"),
        ({"colours": ((0, 0, 0), (0, 0, 256))}, "three channels"),
        ({"left_means": "mine"}, "left means 'mine'"),
        ({"face": (2,)}, "id 2 is outside 0..1"),
        ({"background": -1}, "id -1 is outside"),
        ({"swapped": ((0, 5),)}, "id 5 is outside"),
        ({"merged": {"both": (0, 7)}}, "id 7 is outside"),
    ],
)
def test_bad_sets_are_refused(changes, message):
    fields = {"name": "two", "names": ("back", "face"), "colours": ((0, 0, 0), (9, 9, 9))}
    with pytest.raises(SettingError, match=message):
        LabelSet(**(fields | changes))


@pytest.mark.parametrize("field", sorted(HELEN.to_header()))
def test_a_header_without_a_field_is_refused(field):
    header = HELEN.to_header()
    del header[field]
    with pytest.raises(SettingError, match="damaged"):
        LabelSet.from_header(header)


@pytest.mark.parametrize("field", ["names", "colours", "face", "hair", "swapped", "merged"])
@pytest.mark.parametrize("value", [None, 3, [[[]]], [None]])
def test_a_header_with_a_field_of_another_type_is_refused(field, value):
    with pytest.raises(SettingError) as caught:
        LabelSet.from_header(HELEN.to_header() | {field: value})
    assert "\n" not in str(caught.value)

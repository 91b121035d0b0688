"""The label sets of the shipped model and of the supported data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from rtseg.labels.label_set import Colour, LabelSet


def _colours(codes: str) -> tuple[Colour, ...]:
    """RGB triples from `rrggbb` codes."""
    triples = (bytes.fromhex(code) for code in codes.split())
    return tuple((red, green, blue) for red, green, blue in triples)


HELEN = LabelSet(
    name="helen",
    names=(
        *("background", "skin", "left-brow", "right-brow", "left-eye", "right-eye", "nose"),
        *("upper-lip", "inner-mouth", "lower-lip", "hair"),
    ),
    colours=_colours(
        "000000 48ceba ffa838 de640c 60a4ff 1c54e8 fade48 ec344e 860c3c ff80c4 9254d6"
    ),
    face=(1, 2, 3, 4, 5, 6, 7, 8, 9),
    skin=(1,),
    brows=(2, 3),
    eyes=(4, 5),
    nose=(6,),
    mouth=(7, 8, 9),
    hair=(10,),
    lips=(7, 9),
    inner_mouth=(8,),
    left_eye=4,
    right_eye=5,
    left_means="viewer",
    flip_pairs=((2, 3), (4, 5)),
    groups={
        "brows": (2, 3),
        "eyes": (4, 5),
        "lips": (7, 9),
        "mouth": (7, 8, 9),
        "face": (1, 2, 3, 4, 5, 6, 7, 8, 9),
        "parts": (2, 3, 4, 5, 6, 7, 8, 9),
    },
)
"""Helen* (Smith et al., CVPR 2013; relabelled by Lin et al., CVPR 2019): 11 classes.

Left and right are the viewer's: id 2 is in the left half of an upright picture. `parts` combines
what Helen's protocol calls "overall": brows, eyes, nose and mouth.
"""

FACE_PARTS = replace(
    HELEN,
    name="face-parts",
    names=(
        *HELEN.names,
        *("left-ear", "right-ear", "glasses", "hat", "earring", "necklace", "neck", "clothes"),
    ),
    colours=(
        *HELEN.colours[:9],
        *_colours("d259af 9254d6 b4f46a 36874d b9fef4 613602 f9fbc2 fca9f2 23595d 434472"),
    ),
    face=(*HELEN.face, 13),
    glasses=(13,),
    ears=(11, 12),
    hat=(14,),
    neck=(17,),
    clothes=(18,),
    head=(*HELEN.face, 10, 11, 12, 13, 14, 15),
    flip_pairs=(*HELEN.flip_pairs, (11, 12)),
    groups={
        **HELEN.groups,
        "ears": (11, 12),
        "face": (*HELEN.face, 13),
        "head": (*HELEN.face, 10, 11, 12, 13, 14, 15),
        "jewellery": (15, 16),
        "body": (17, 18),
    },
    cut_off=(18,),
)
"""The shipped model's classes: Helen*'s ids 0 to 10, then further classes of CelebAMask-HQ.

Left and right are the viewer's. `parts` is Helen's "overall". `face` includes glasses, so that
hiding a face hides them. The colours of the further classes were chosen within hues that set them
apart from skin as cameras see it, and among those for distance: 11.8 in Lab between the closest
two, also for protan, deutan and tritan vision (`python -m tests.benchmarks.colours`).
"""

LAPA = replace(HELEN, name="lapa")
"""LaPa (Liu et al., AAAI 2020): Helen's classes and ids."""

CELEBAMASK = LabelSet(
    name="celebamask",
    names=(
        *("background", "skin", "nose", "glasses", "left-eye", "right-eye"),
        *("left-brow", "right-brow", "left-ear", "right-ear"),
        *("inner-mouth", "upper-lip", "lower-lip"),
        *("hair", "hat", "earring", "necklace", "neck", "cloth"),
    ),
    colours=_colours(
        "000000 f4b48c fad63c 4ad0d8 48a0ff 1854dc 60c848 1c8c3c ff9c54 d86c20"
        " 96143c f04860 ff78be 8c54c8 7a4a2a ffe28c c8c8c8 cc8866 3c6478"
    ),
    face=(1, 2, 3, 4, 5, 6, 7, 10, 11, 12),
    skin=(1,),
    brows=(6, 7),
    eyes=(4, 5),
    nose=(2,),
    mouth=(10, 11, 12),
    hair=(13,),
    lips=(11, 12),
    inner_mouth=(10,),
    glasses=(3,),
    ears=(8, 9),
    hat=(14,),
    neck=(17,),
    clothes=(18,),
    head=(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    left_eye=4,
    right_eye=5,
    left_means="subject",
    flip_pairs=((4, 5), (6, 7), (8, 9)),
    groups={
        "brows": (6, 7),
        "eyes": (4, 5),
        "ears": (8, 9),
        "lips": (11, 12),
        "mouth": (10, 11, 12),
        "face": (1, 2, 3, 4, 5, 6, 7, 10, 11, 12),
    },
    cut_off=(18,),
)
"""CelebAMask-HQ (Lee et al., CVPR 2020): 19 classes with its own ids; left is the subject's.

Other projects number the same classes differently, so compare names, never ids.
"""

FASSEG = LabelSet(
    name="fasseg",
    names=("background", "skin", "hair", "nose", "eyes", "mouth"),
    colours=_colours("ff0000 ffff00 7f0000 00ffff 0000ff 00ff00"),
    face=(1, 3, 4, 5),
    skin=(1,),
    eyes=(4,),
    nose=(3,),
    mouth=(5,),
    hair=(2,),
)
"""FASSEG (Khan et al., 2015; Benini et al., 2019): six classes in the data set's colours.

Eyebrows count as hair, skin includes neck and ears, and clothes are background.
"""

CIHP = LabelSet(
    name="cihp",
    names=(
        *("background", "hat", "hair", "glove", "sunglasses", "upper-clothes", "dress", "coat"),
        *("socks", "pants", "torso-skin", "scarf", "skirt", "face", "left-arm", "right-arm"),
        *("left-leg", "right-leg", "left-shoe", "right-shoe"),
    ),
    colours=_colours(
        "000000 800000 ff0000 005500 aa0033 ff5500 000055 0077dd 555500 005555"
        " 553300 345680 008000 0000ff 33aadd 00ffff 55ffaa aaff55 ffff00 ffaa00"
    ),
    face=(13,),
    hair=(2,),
    hat=(1,),
    left_means="subject",
    flip_pairs=((14, 15), (16, 17), (18, 19)),
    groups={"arms": (14, 15), "legs": (16, 17), "shoes": (18, 19)},
)
"""Crowd Instance-level Human Parsing (Gong et al., ECCV 2018): 20 classes in its colours."""

BDD_DRIVABLE = LabelSet(
    name="bdd-drivable",
    names=("direct", "alternative", "background"),
    colours=_colours("db5e56 56d3db 000000"),
    background=2,
    groups={"drivable": (0, 1)},
)
"""BDD100K's drivable area (Yu et al., CVPR 2020): ego lane, other lanes, background last."""

LABEL_SETS: Mapping[str, LabelSet] = MappingProxyType(
    {
        known.name: known
        for known in (HELEN, FACE_PARTS, LAPA, CELEBAMASK, FASSEG, CIHP, BDD_DRIVABLE)
    }
)
"""The built-in sets by name."""

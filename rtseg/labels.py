"""Label sets: the name, colour and role of each label id, and the pairs that a flip exchanges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from rtseg.errors import SettingError, listed

Colour = tuple[int, int, int]

IGNORED = 255
"""The label id of a pixel that is ignored in losses and metrics."""


ROLES = ("skin", "brows", "eyes", "nose", "mouth", "hair")
"""The roles of ids in a label set of faces, which are also the names of its fields."""


@dataclass(frozen=True, kw_only=True)
class LabelSet:
    """The classes of a model or a data set, and their roles in a face.

    Attributes:
        name: the set's name in a checkpoint's header.
        names: one name per class, by label id; lower case, words joined by `-`.
        colours: one RGB colour per class, each channel 0..255.
        background: the id for "none of them", or None if every pixel belongs to a real class.
        face: ids that make up a face; they detect it and determine its box.
        skin, brows, eyes, nose, mouth: the ids of each part of the face, all also in `face`.
        hair: the ids of hair.
        head: everything that moves with the face: `face`, `hair`, and ears, hats or earrings.
        left_eye, right_eye: ids whose centres determine a face's roll, or None.
        left_means: whether "left" is the left half of the picture (`viewer`) or the person's own
            left (`subject`).
        flip_pairs: pairs of ids that a horizontal flip swaps.
        groups: names for several ids together, for `--classes` and metrics.
        cut_off: the ids of what goes on beyond the crop around a face and would end at its edge;
            views leave them out unless they are asked for.
    """

    name: str
    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    background: int | None = 0
    face: tuple[int, ...] = ()
    skin: tuple[int, ...] = ()
    brows: tuple[int, ...] = ()
    eyes: tuple[int, ...] = ()
    nose: tuple[int, ...] = ()
    mouth: tuple[int, ...] = ()
    hair: tuple[int, ...] = ()
    head: tuple[int, ...] = ()
    left_eye: int | None = None
    right_eye: int | None = None
    left_means: Literal["viewer", "subject"] = "viewer"
    flip_pairs: tuple[tuple[int, int], ...] = ()
    groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    cut_off: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.names)
        if not 2 <= count <= IGNORED:
            raise SettingError(
                f"label set {self.name!r}: has {count} classes; 2 to {IGNORED} are allowed"
            )
        if len(self.colours) != count:
            raise SettingError(
                f"label set {self.name!r}: {count} names but {len(self.colours)} colours"
            )
        for name in (*self.names, *self.groups):
            if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
                raise SettingError(
                    f"label set {self.name!r}: class name {name!r} is not lower-case words "
                    "joined by '-'"
                )
        if len(set(self.names) | set(self.groups)) != count + len(self.groups):
            raise SettingError(f"label set {self.name!r}: a class name occurs twice")
        for colour in self.colours:
            if len(colour) != 3 or not all(0 <= channel <= 255 for channel in colour):
                raise SettingError(
                    f"label set {self.name!r}: colour {colour} is not three channels of 0..255"
                )
        if self.left_means not in ("viewer", "subject"):
            raise SettingError(
                f"label set {self.name!r}: left means {self.left_means!r}; allowed: viewer, subject"
            )
        for label_id in self._used_ids():
            if not 0 <= label_id < count:
                raise SettingError(
                    f"label set {self.name!r}: id {label_id} is outside 0..{count - 1}"
                )
        self._check_roles()
        if not self.head:
            object.__setattr__(self, "head", tuple(sorted({*self.face, *self.hair})))
        object.__setattr__(self, "groups", MappingProxyType(dict(self.groups)))

    def _check_roles(self) -> None:
        role_of_id: dict[int, str] = {}
        for role in ROLES:
            for label_id in getattr(self, role):
                if label_id in role_of_id:
                    raise SettingError(
                        f"label set {self.name!r}: id {label_id} is both "
                        f"{role_of_id[label_id]} and {role}"
                    )
                role_of_id[label_id] = role
                if role != "hair" and label_id not in self.face:
                    raise SettingError(
                        f"label set {self.name!r}: id {label_id} is {role}, but not part of the "
                        "face"
                    )
        outside = {*self.face, *self.hair} - set(self.head)
        if self.head and outside:
            raise SettingError(
                f"label set {self.name!r}: id {min(outside)} is face or hair, but not part of the "
                "head"
            )

    def _used_ids(self) -> Iterable[int]:
        for maybe in (self.background, self.left_eye, self.right_eye):
            if maybe is not None:
                yield maybe
        yield from self.face
        yield from self.head
        yield from self.cut_off
        for role in ROLES:
            yield from getattr(self, role)
        for pair in self.flip_pairs:
            yield from pair
        for ids in self.groups.values():
            yield from ids

    def __len__(self) -> int:
        return len(self.names)

    def __reduce__(self) -> tuple[Any, ...]:
        return LabelSet.from_header, (self.to_header(),)

    @property
    def foreground(self) -> tuple[int, ...]:
        """Every id except the background."""
        return tuple(i for i in range(len(self)) if i != self.background)

    @property
    def face_parts(self) -> tuple[tuple[int, ...], ...]:
        """The ids of each kind of part in the set, except skin."""
        kinds = (self.brows, self.eyes, self.nose, self.mouth)
        return tuple(ids for ids in kinds if ids)

    def select(self, names: Iterable[str]) -> tuple[int, ...]:
        """Resolve class names and group names to sorted ids.

        `all` is every class but background; `auto` is the same without `cut_off`.

        Raises:
            SettingError: a name is unknown, or there are no names.
        """
        ids: set[int] = set()
        for name in names:
            key = name.strip().lower().replace("_", "-").replace(" ", "-")
            if key == "all":
                ids.update(self.foreground)
            elif key == "auto":
                ids.update(i for i in self.foreground if i not in self.cut_off)
            elif key in self.groups:
                ids.update(self.groups[key])
            elif key in self.names:
                ids.add(self.names.index(key))
            else:
                raise SettingError(f"unknown class {name!r}; allowed: {self._selections()}")
        if not ids:
            raise SettingError(f"no class given; allowed: {self._selections()}")
        return tuple(sorted(ids))

    def _selections(self) -> str:
        return listed(("all", "auto", *self.names, *self.groups))

    def to_header(self) -> dict[str, Any]:
        """Convert to JSON values for a checkpoint's header."""
        return {
            "name": self.name,
            "names": list(self.names),
            "colours": [list(colour) for colour in self.colours],
            "background": self.background,
            "face": list(self.face),
            **{role: list(getattr(self, role)) for role in ROLES},
            "head": list(self.head),
            "left_eye": self.left_eye,
            "right_eye": self.right_eye,
            "left_means": self.left_means,
            "flip_pairs": [list(pair) for pair in self.flip_pairs],
            "groups": {name: list(ids) for name, ids in self.groups.items()},
            "cut_off": list(self.cut_off),
        }

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> LabelSet:
        """Parse what `to_header` wrote, in this version or 0.1.

        Raises:
            SettingError: a field is missing, unknown or of the wrong type.
        """
        try:
            header = _without_old_names(header)
            required = {"background", "left_eye", "right_eye", "left_means"}
            fields: dict[str, Any] = {key: header[key] for key in required}
            fields["name"] = str(header["name"])
            fields["names"] = tuple(str(name) for name in header["names"])
            fields["colours"] = tuple(tuple(map(int, colour)) for colour in header["colours"])
            for key in ("face", "head", *ROLES):
                fields[key] = tuple(map(int, header[key]))
            fields["flip_pairs"] = tuple((int(a), int(b)) for a, b in header["flip_pairs"])
            fields["groups"] = {
                str(name): tuple(map(int, ids)) for name, ids in header["groups"].items()
            }
            fields["cut_off"] = tuple(map(int, header.get("cut_off", ())))  # older files lack it
            return cls(**fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SettingError(f"a label set's description is damaged: {error!r}") from None


def _without_old_names(header: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a header of version 0.1, which had `swapped` and `merged`, and no roles."""
    converted = dict(header)
    if "swapped" not in converted:
        return converted
    converted["flip_pairs"] = converted.pop("swapped")
    converted["groups"] = converted.pop("merged")
    converted.setdefault("head", [])
    names, groups, face = list(converted["names"]), converted["groups"], set(converted["face"])
    for role in ROLES[:-1]:
        ids = groups[role] if role in groups else [names.index(role)] if role in names else []
        converted.setdefault(role, [label_id for label_id in ids if label_id in face])
    return converted


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

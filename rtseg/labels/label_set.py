"""A label set: the name, colour and role of each label id, and the pairs that a flip exchanges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from rtseg.errors import SettingError, listed

Colour = tuple[int, int, int]

IGNORED = 255
"""The label id of a pixel that is ignored in losses and metrics."""


ROLES = ("skin", "brows", "eyes", "nose", "mouth", "hair")
"""The roles of ids in a label set of faces, which are also the names of its fields."""

FURTHER_ROLES = ("lips", "inner_mouth", "glasses", "ears", "hat", "neck", "clothes")
"""Roles that few label sets have: the parts of `mouth`, and what is around the face. They are the
names of fields, too, and an effect or a study that needs one asks for it."""

_NAMES_OF_ROLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lips": ("lips", "upper-lip", "lower-lip"),
        "inner_mouth": ("inner-mouth",),
        "glasses": ("glasses",),
        "ears": ("ears", "left-ear", "right-ear"),
        "hat": ("hat", "hats"),
        "neck": ("neck",),
        "clothes": ("clothes", "cloth"),
    }
)
"""The class names that tell a further role in the headers of files older than the role."""


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
        lips, inner_mouth: the ids of the parts of `mouth`, if it has parts.
        glasses, ears, hat, neck, clothes: the ids of what is worn on the face or surrounds it.
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
    lips: tuple[int, ...] = ()
    inner_mouth: tuple[int, ...] = ()
    glasses: tuple[int, ...] = ()
    ears: tuple[int, ...] = ()
    hat: tuple[int, ...] = ()
    neck: tuple[int, ...] = ()
    clothes: tuple[int, ...] = ()
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
        for roles in (ROLES, FURTHER_ROLES):
            self._check_disjoint(roles)
        for role in FURTHER_ROLES:
            for label_id in getattr(self, role):
                if role in ("lips", "inner_mouth") and label_id not in self.mouth:
                    raise SettingError(
                        f"label set {self.name!r}: id {label_id} is {role}, but not part of the "
                        "mouth"
                    )
        for role in ROLES:
            for label_id in getattr(self, role):
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

    def _check_disjoint(self, roles: Iterable[str]) -> None:
        role_of_id: dict[int, str] = {}
        for role in roles:
            for label_id in getattr(self, role):
                if label_id in role_of_id:
                    raise SettingError(
                        f"label set {self.name!r}: id {label_id} is both "
                        f"{role_of_id[label_id]} and {role}"
                    )
                role_of_id[label_id] = role

    def _used_ids(self) -> Iterable[int]:
        for maybe in (self.background, self.left_eye, self.right_eye):
            if maybe is not None:
                yield maybe
        yield from self.face
        yield from self.head
        yield from self.cut_off
        for role in (*ROLES, *FURTHER_ROLES):
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
            **{role: list(getattr(self, role)) for role in (*ROLES, *FURTHER_ROLES)},
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
            for role in FURTHER_ROLES:
                ids = header[role] if role in header else _ids_by_name(role, fields)
                fields[role] = tuple(map(int, ids))
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


def _ids_by_name(role: str, fields: Mapping[str, Any]) -> list[int]:
    """The ids of a further role, for a file that is older than the role."""
    ids = [i for i, name in enumerate(fields["names"]) if name in _NAMES_OF_ROLES[role]]
    if role in ("lips", "inner_mouth"):
        return [i for i in ids if i in fields["mouth"]]
    return ids

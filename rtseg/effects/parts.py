"""Find the label ids that an effect works on, by the roles of a label set."""

from __future__ import annotations

from rtseg.errors import SettingError, listed
from rtseg.labels import LabelSet

ROLES_OF_PARTS: dict[str, tuple[str, ...]] = {
    "lips": ("lips",),
    "hair": ("hair",),
    "brows": ("brows",),
    "eyes": ("eyes",),
    "teeth": ("inner_mouth",),
    "skin": ("skin", "nose", "ears", "neck"),
}
"""The roles, fields of `LabelSet`, that make up each part; a label set needs the first of them."""


def ids_of(label_set: LabelSet, part: str) -> tuple[int, ...]:
    """Return the sorted ids of a part: one of `ROLES_OF_PARTS`, or any class or role.

    Raises:
        SettingError: the label set has no such part.
    """
    if part not in ROLES_OF_PARTS:
        return label_set.select((part,))
    roles = ROLES_OF_PARTS[part]
    if not getattr(label_set, roles[0]):
        raise SettingError(
            f"`effect` {part}: the model has no {part}: no class of its label set "
            f"{label_set.name!r} has the role {roles[0]!r} (its classes: "
            f"{listed(label_set.names)}); choose another effect, or a model that has it"
        )
    return tuple(sorted(label_id for role in roles for label_id in getattr(label_set, role)))

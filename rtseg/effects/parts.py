"""Find the label ids that an effect works on, by the part's name, in any label set."""

from __future__ import annotations

from rtseg.errors import SettingError, listed
from rtseg.labels import LabelSet

PARTS: dict[str, tuple[str, ...]] = {
    "lips": ("lips", "upper-lip", "lower-lip"),
    "hair": ("hair",),
    "brows": ("brows", "left-brow", "right-brow"),
    "eyes": ("eyes", "left-eye", "right-eye"),
    "teeth": ("inner-mouth",),
    "skin": ("skin", "nose", "ears", "left-ear", "right-ear", "neck"),
}
"""The classes and groups that make up each part; a label set needs at least one of them."""


def ids_of(label_set: LabelSet, part: str) -> tuple[int, ...]:
    """The ids of a part: one of `PARTS`, or any name in the label set.

    Raises:
        SettingError: the label set has no such part.
    """
    names = PARTS.get(part, (part,))
    known_names = {*label_set.names, *label_set.groups}
    present = [name for name in names if name in known_names]
    if not present:
        raise SettingError(
            f"the model has no {part}: its classes are {listed(label_set.names)}; "
            "choose another effect, or a model that has it"
        )
    return label_set.select(present)

"""Label sets: what each label id of a model or a data set means."""

from rtseg.labels.built_in import (
    BDD_DRIVABLE,
    CELEBAMASK,
    CIHP,
    FACE_PARTS,
    FASSEG,
    HELEN,
    LABEL_SETS,
    LAPA,
)
from rtseg.labels.label_set import FURTHER_ROLES, IGNORED, ROLES, Colour, LabelSet

__all__ = [
    "BDD_DRIVABLE",
    "CELEBAMASK",
    "CIHP",
    "FACE_PARTS",
    "FASSEG",
    "FURTHER_ROLES",
    "HELEN",
    "IGNORED",
    "LABEL_SETS",
    "LAPA",
    "ROLES",
    "Colour",
    "LabelSet",
]

"""Studies that compare training runs, one module per study."""

from __future__ import annotations

from rtseg.errors import SettingError, listed
from training.studies import architectures, augmentation, losses
from training.studies.study import Study

STUDIES: dict[str, Study] = {
    study.name: study for study in (losses.STUDY, augmentation.STUDY, architectures.STUDY)
}
"""Every study by name."""


def study_of(name: str) -> Study:
    """Return a study by name.

    Raises:
        SettingError: there is none.
    """
    if name not in STUDIES:
        raise SettingError(f"unknown study {name!r}; allowed: {listed(STUDIES)}")
    return STUDIES[name]

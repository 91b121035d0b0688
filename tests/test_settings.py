"""Settings: documented, immutable, and validated."""

import dataclasses
import inspect
import os

import pytest

from rtseg import settings
from rtseg.errors import SettingError
from rtseg.settings import (
    CameraSettings,
    EncodeSettings,
    FaceSettings,
    ModelSettings,
    ReadSettings,
    ViewSettings,
    thread_count,
)
from rtseg.validation import Settings

GROUPS = [
    group
    for _, group in inspect.getmembers(settings, inspect.isclass)
    if issubclass(group, Settings) and group is not Settings
]


@pytest.mark.parametrize("group", GROUPS)
def test_defaults_are_valid_and_every_field_is_documented(group):
    values = group()
    for field in dataclasses.fields(group):
        assert field.metadata["help"]
        assert not field.metadata["help"].endswith(".")
        low, high = field.metadata["low"], field.metadata["high"]
        value = getattr(values, field.name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            assert low is None or value >= low
            assert high is None or value <= high


@pytest.mark.parametrize("group", GROUPS)
def test_settings_are_immutable(group):
    values = group()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(values, dataclasses.fields(group)[0].name, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelSettings(device="tpu"), "`device`: 'tpu' is unknown; allowed: auto, cpu"),
        (lambda: ModelSettings(precision="int4"), "`precision`: 'int4'"),
        (lambda: ModelSettings(threads=-1), "`threads`: -1 is out of range; allowed: 0 to 1024"),
        (lambda: FaceSettings(detect_every=0), "`detect_every`: 0 .* allowed: 1 or more"),
        (lambda: FaceSettings(max_faces=65), "`max_faces`: 65 .* allowed: 1 to 64"),
        (lambda: FaceSettings(smoothing=1.5), "`smoothing`: 1.5 .* allowed: 0.0 to 1.0"),
        (lambda: FaceSettings(smoothing=float("nan")), "`smoothing`: nan is out of range"),
        (lambda: ViewSettings(view="xray"), "`view`: 'xray' is unknown"),
        (lambda: ViewSettings(opacity=-0.1), "`opacity`: -0.1"),
        (lambda: ReadSettings(start=-1.0), "`start`: -1.0"),
        (lambda: ReadSettings(start=2.0, end=2.0), "`end`: 2.0 s is before `start` 2.0 s"),
        (lambda: ReadSettings(timeout=0.0), "`timeout`: 0.0"),
        (lambda: EncodeSettings(codec="divx"), "`codec`: 'divx'"),
        (lambda: EncodeSettings(crf=64), "`crf`: 64"),
        (lambda: CameraSettings(width=8), "`width`: 8"),
        (lambda: CameraSettings(fps=0.0), "`fps`: 0.0"),
    ],
)
def test_bad_values_are_refused_with_the_allowed_ones(make, message):
    with pytest.raises(SettingError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_zero_threads_means_one_per_core():
    assert thread_count(3) == 3
    assert 1 <= thread_count(0) <= (os.cpu_count() or 1)

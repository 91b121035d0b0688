"""Settings from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtseg.errors import SettingError
from training.settings import FitSettings


def test_texts_become_typed_settings():
    changed = FitSettings().changed(
        ["epochs=3", "learning-rate=1e-4", "precision=fp32", "start_from=a/b.safetensors"]
    )
    assert changed.epochs == 3
    assert changed.learning_rate == 1e-4
    assert changed.precision == "fp32"
    assert changed.start_from == Path("a/b.safetensors")
    assert changed.changed(["start_from=none"]).start_from is None
    assert changed.batch == FitSettings().batch
    taught = changed.changed(["teachers_from=a/b.safetensors,c.safetensors"])
    assert taught.teachers_from == (Path("a/b.safetensors"), Path("c.safetensors"))
    assert taught.plain()["teachers_from"] == ["a/b.safetensors", "c.safetensors"]
    assert taught.changed(["teachers_from=none"]).teachers_from == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch=3", "one of: epochs"),
        ("epochs", "NAME=VALUE"),
        ("epochs=many", "epochs takes int; found 'many'"),
        ("epochs=0", "`epochs`: 0 .* allowed: 1 or more"),
        ("workers=-1", "`workers`: -1 .* allowed: 0 or more"),
        ("average=1", "`average`: 1.0 .* allowed: 0 to less than 1"),
        ("precision=fp8", "allowed: bf16, fp16, fp32"),
    ],
)
def test_bad_settings_are_one_clear_line(text: str, message: str):
    with pytest.raises(SettingError, match=message) as caught:
        FitSettings().changed([text])
    assert "\n" not in str(caught.value)

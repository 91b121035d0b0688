"""The documentation's code for adding views, effects, sinks, backends and finders works."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from rtseg import Segmenter, ViewSettings, open_sink, render, view_registry
from rtseg.checkpoint import ModelSpec
from rtseg.cli.options import _effects, with_settings
from rtseg.effects import apply_effects, parse_effect, registry
from rtseg.errors import SettingError
from rtseg.frames import Frame, Segmentation
from rtseg.labels import BDD_DRIVABLE, HELEN
from rtseg.media.info import SourceInfo

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
TRAINING = PAGE.with_name("training.md")
IMAGE = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)


def blocks() -> list[str]:
    """The page's blocks of code."""
    section = PAGE.read_text("utf-8").split("## Adding things")[1]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def defined(name: str) -> Any:
    """Run the page's block of code that defines `name`, and return that object."""
    (block,) = [block for block in blocks() if re.search(rf"^(def|class) {name}\b", block, re.M)]
    scope: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), scope)
    return scope[name]


def test_each_addition_takes_ten_lines() -> None:
    data_set = TRAINING.read_text("utf-8").split("## Adding")[1].split("```python\n")[1]
    everything = [*blocks(), data_set.split("```")[0]]
    assert len(everything) == 6
    for block in everything:
        lines = [line for line in block.splitlines() if line.strip()]
        assert len(lines) <= 10, block
        assert max(map(len, lines)) <= 100, "ruff's limit"


def test_a_view_can_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(view_registry._views, "grey-elsewhere", None)  # removed again afterwards
    assert defined("grey_elsewhere")
    command = click.command(with_settings(view=ViewSettings)(lambda view: None))
    shown = CliRunner().invoke(command, ["--help"]).output
    assert "grey-elsewhere" in "".join(shown.split()), "the option's help"
    labels = np.zeros((40, 60), np.uint8)
    labels[10:20, 10:30] = HELEN.skin[0]
    segmentation = Segmentation(labels=labels, label_set=HELEN)
    frame = Frame(image=IMAGE, index=0, pts=0, time_base=Fraction(1, 25))
    settings = ViewSettings(view="grey-elsewhere", classes=("skin",))
    picture = render(frame, segmentation, settings)
    assert np.array_equal(picture[10:20, 10:30], IMAGE[10:20, 10:30])
    assert np.ptp(picture[25:], axis=2).max() == 0


def test_an_effect_can_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    for registered in (registry._effects, registry._retouches):
        monkeypatch.setitem(registered, "tan", None)  # removed again afterwards
    assert defined("tan")
    assert "tan=0..1" in _effects().replace("skin, teeth, eyes, ", ""), "the option's help"
    skin = np.zeros((40, 60), np.float32)
    skin[:10] = 1
    soft = SimpleNamespace(alpha=lambda *_: skin, by_face=lambda *_: [])
    segmentation = Segmentation(labels=(skin > 0).astype(np.uint8), label_set=HELEN, soft=soft)
    picture = apply_effects(IMAGE, segmentation, ["tan=1"])
    assert (picture[:10] == (170, 120, 80)).all()
    assert np.array_equal(picture[10:], IMAGE[10:])
    effect = parse_effect("tan=0.5")
    effect.check(HELEN)
    with pytest.raises(SettingError, match="skin"):
        effect.check(BDD_DRIVABLE)


def test_a_sink_can_be_added(tmp_path: Path) -> None:
    assert defined("FrameCounter")
    sink = open_sink(str(tmp_path / "frames.count"))
    info = SourceInfo(name="test", width=60, height=40, time_base=Fraction(1, 25))
    sink.open(info, width=60, height=40)
    frame = Frame(image=IMAGE, index=0, pts=0, time_base=Fraction(1, 25))
    labels = np.zeros((40, 60), np.uint8)
    sink.write(frame, Segmentation(labels=labels, label_set=HELEN), None)
    sink.close("finished")
    assert (tmp_path / "frames.count").read_text() == "1 frames, finished\n"


def spec(view: Any) -> ModelSpec:
    return ModelSpec(
        architecture="residual-pyramid",
        options={},
        label_set=HELEN,
        input_height=64,
        input_width=64,
        stride=4,
        view=view,
    )


def test_a_backend_can_be_added() -> None:
    with Segmenter(backend=defined("NothingBackend")(spec("frame"))) as segmenter:
        assert not segmenter(IMAGE).labels.any()


def test_a_finder_can_be_added() -> None:
    backend = defined("NothingBackend")(spec("face"))
    asked: list[int] = []
    infer = backend.infer
    backend.infer = lambda crops: (asked.append(len(crops)), infer(crops))[1]
    with Segmenter(backend=backend, finder=defined("CentreFinder")()) as segmenter:
        segmenter(IMAGE)
    assert sum(asked) >= 1, "the face's crop is segmented"

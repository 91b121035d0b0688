"""The learning rate at each step, and after an interruption."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from rtseg.errors import SettingError
from training.schedules import make_scheduler
from training.settings import FitSettings

TOTAL, PER_EPOCH = 200, 10
SETTINGS = FitSettings(learning_rate=2.0)


def optimizer(kind: type = torch.optim.SGD) -> torch.optim.Optimizer:
    options = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    return kind([torch.nn.Parameter(torch.zeros(1))], lr=2.0, **options)


def groups(settings: FitSettings, *, done: int = 0, steps: int = TOTAL) -> list[dict]:
    """The optimizer's parameter group before each step."""
    moved = optimizer()
    scheduler = make_scheduler(moved, settings, total=TOTAL, per_epoch=PER_EPOCH, done=done)
    recorded = []
    for _ in range(done, steps):
        recorded.append(dict(moved.param_groups[0]))
        moved.step()
        scheduler.step()
    return recorded


@pytest.mark.parametrize(
    ("changes", "step", "share"),
    [
        ({"schedule": "constant"}, 140, 1.0),
        ({"schedule": "poly", "power": 2.0}, 100, 0.25),
        ({"schedule": "step", "cuts": (0.5, 0.8), "cut_factor": 0.1}, 99, 1.0),
        ({"schedule": "step", "cuts": (0.5, 0.8), "cut_factor": 0.1}, 180, 0.01),
        ({"schedule": "cosine-restarts", "restart_epochs": 4.0}, 20, 0.5),
        ({"schedule": "cosine-restarts", "restart_epochs": 4.0}, 40, 1.0),
        ({"schedule": "cosine-restarts", "restart_epochs": 4.0}, 80, 0.5),
        ({"schedule": "cosine-restarts", "restart_epochs": 4.0, "restart_factor": 1}, 80, 1.0),
        ({"schedule": "one-cycle", "warm_up": 0.5, "start": 0.1}, 0, 0.1),
        ({"schedule": "one-cycle", "warm_up": 0.5, "start": 0.1}, 100, 1.0),
        ({"schedule": "one-cycle", "warm_up": 0.5, "start": 0.0}, 199, 0.0),
        ({"schedule": "one-cycle", "warm_up": 0.0}, 0, 1.0),
    ],
)
def test_rates_are_the_right_shares_of_the_peak(changes: dict, step: int, share: float) -> None:
    settings = dataclasses.replace(SETTINGS, **changes)
    assert groups(settings)[step]["lr"] == pytest.approx(2.0 * share, abs=2e-3)


def test_one_cycle_moves_the_momentum_inversely_on_request() -> None:
    settings = dataclasses.replace(SETTINGS, warm_up=0.25, cycle_momentum=True)
    momenta = [group["momentum"] for group in groups(settings)]
    assert momenta[0] == pytest.approx(0.95)
    assert momenta[50] == pytest.approx(0.85, abs=1e-3)
    assert momenta[-1] == pytest.approx(0.95, abs=1e-3)
    still = dataclasses.replace(SETTINGS, cycle_momentum=False)
    assert {group["momentum"] for group in groups(still)} == {0.9}


def test_an_optimizer_without_momentum_cannot_cycle_it() -> None:
    settings = dataclasses.replace(SETTINGS, optimizer="adagrad", cycle_momentum=True)
    with pytest.raises(SettingError, match="cycle_momentum: adagrad does not go with it"):
        make_scheduler(optimizer(torch.optim.Adagrad), settings, total=9, per_epoch=3)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine-restarts", "poly", "step", "constant"])
def test_a_resumed_schedule_continues_unchanged(schedule: str) -> None:
    settings = dataclasses.replace(SETTINGS, schedule=schedule, cycle_momentum=True)
    whole = groups(settings)
    for done in (1, 77, TOTAL - 1):
        for before, after in zip(whole[done:], groups(settings, done=done), strict=True):
            assert after["lr"] == before["lr"]
            assert after["momentum"] == before["momentum"]
    assert groups(settings, done=TOTAL) == []


def test_scheduler_state_in_a_saved_optimizer_is_ignored() -> None:
    first = optimizer()
    scheduler = make_scheduler(first, SETTINGS, total=TOTAL, per_epoch=PER_EPOCH)
    for _ in range(30):
        first.step()
        scheduler.step()
    again = optimizer()
    again.load_state_dict(first.state_dict())
    make_scheduler(again, SETTINGS, total=TOTAL, per_epoch=PER_EPOCH, done=30)
    assert again.param_groups[0]["lr"] == first.param_groups[0]["lr"]

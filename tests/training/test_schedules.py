"""Our schedules are PyTorch's, step for step."""

from __future__ import annotations

import pytest
import torch
from torch.optim import lr_scheduler

from training import schedules

STEPS = 200


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)


def rates(opt: torch.optim.Optimizer, scheduler: lr_scheduler.LRScheduler, steps: int = STEPS):
    found = []
    for _ in range(steps):
        found.append(scheduler.get_last_lr()[0])
        opt.step()
        scheduler.step()
    return found


def test_one_cycle() -> None:
    opt = optimizer()
    # PyTorch counts a run of n steps as n - 1 intervals
    scheduler = lr_scheduler.OneCycleLR(
        opt, max_lr=1.0, total_steps=STEPS + 1, pct_start=0.3, div_factor=10
    )
    ours = [schedules.one_cycle(s / STEPS, warm_up=0.3, start=0.1) for s in range(STEPS)]
    assert ours == pytest.approx(rates(opt, scheduler), abs=0.02)
    assert max(ours) == pytest.approx(1.0, abs=1e-3)
    assert ours[0] == pytest.approx(0.1)
    assert schedules.one_cycle(1.0, warm_up=0.3) == pytest.approx(0, abs=1e-9)


def test_cycled_momentum() -> None:
    opt = optimizer()
    scheduler = lr_scheduler.OneCycleLR(opt, max_lr=1.0, total_steps=STEPS + 1, pct_start=0.3)
    theirs = []
    for _ in range(STEPS):
        theirs.append(opt.param_groups[0]["momentum"])
        opt.step()
        scheduler.step()
    ours = [schedules.cycled_momentum(s / STEPS, warm_up=0.3) for s in range(STEPS)]
    assert ours == pytest.approx(theirs, abs=0.003)


def test_poly() -> None:
    opt = optimizer()
    scheduler = lr_scheduler.PolynomialLR(opt, total_iters=STEPS, power=0.9)
    ours = [schedules.poly(s / STEPS, power=0.9) for s in range(STEPS)]
    assert ours == pytest.approx(rates(opt, scheduler), abs=1e-9)


def test_cosine_restarts() -> None:
    opt = optimizer()
    scheduler = lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=20, T_mult=2)
    ours = [schedules.cosine_restarts(e, first=20, factor=2) for e in range(STEPS)]
    assert ours == pytest.approx(rates(opt, scheduler), abs=1e-9)


def test_step() -> None:
    opt = optimizer()
    scheduler = lr_scheduler.MultiStepLR(opt, milestones=[120, 170], gamma=0.1)
    ours = [schedules.step(s / STEPS, cuts=(0.6, 0.85), factor=0.1) for s in range(STEPS)]
    assert ours == pytest.approx(rates(opt, scheduler), abs=1e-9)

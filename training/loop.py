"""Train a recipe: one process, any device, resumable at every saved state."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from rtseg.checkpoint import read_checkpoint, read_header, write_checkpoint
from rtseg.errors import RtsegError, SettingError, SinkError
from rtseg.models import build_model, create_model
from training.evaluate import Predictor, evaluate, normalised
from training.losses import cross_entropy, region_dice, soft_dice, upsample_at
from training.metrics import Matrix, f1_table, pixel_counts
from training.recipes.base import Recipe, TrainingData, Views
from training.settings import FitSettings

STATE_FILE = "state.pt"
MODEL_FILE = "model.safetensors"
LOG_FILE = "log.jsonl"

Report = Callable[[Mapping[str, Any]], None]
"""Is told, as plain values, what a run does: one call every so many steps and every evaluation."""


def one_cycle(progress: float, *, warm_up: float) -> float:
    """The learning rate's share of its peak, 0..1: a cosine rise, then a cosine fall to zero.

    Smith and Topin, "Super-convergence", 2019. `progress` is 0 at the start, 1 at the end.
    """
    if progress < warm_up:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / warm_up)) / 2
    fallen = min(1.0, (progress - warm_up) / (1 - warm_up))
    return (1 + math.cos(math.pi * fallen)) / 2


class _Indexed(TorchDataset[tuple[Any, Any]]):
    def __init__(self, views: Views) -> None:
        self.views = views

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.views[index]


@dataclass
class _State:
    """Everything that a resumed run needs."""

    model: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path, settings: FitSettings) -> None:
        part = path.with_name(path.name + ".part")
        torch.save(
            {
                "model": self.model.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "settings": _plain(settings),
            },
            part,
        )
        part.replace(path)

    def load(self, path: Path, settings: FitSettings) -> None:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        free = ("threads", "workers", "save_minutes", "evaluate_every")
        now = _plain(settings)
        for name, before in saved["settings"].items():
            if name not in free and before != now.get(name):
                raise SettingError(
                    f"{path}: this run was started with {name}={before}, not {now.get(name)}; "
                    "resume with the same settings or start in another folder"
                )
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.seconds = int(saved["step"]), float(saved["seconds"])


def fit(
    recipe: Recipe,
    *,
    data: Path,
    out: Path,
    settings: FitSettings,
    command: str,
    resume: bool = False,
    device: str = "cpu",
    report: Report = lambda event: None,
) -> Path:
    """Train, and write `model.safetensors`, `state.pt` and `log.jsonl` into `out`.

    Args:
        command: what was typed, for the checkpoint's provenance.
        resume: go on from `out`'s saved state, where there is one; with epochs (not minutes) the
            result on a CPU is the same, bit for bit, as without the interruption.

    Returns:
        The checkpoint's path.

    Raises:
        SettingError: the settings do not fit the saved state.
        SinkError: `out` holds a run already and `resume` was not asked for.
        SourceError: the data is not there, or is broken.
    """
    state_path = out / STATE_FILE
    if state_path.exists() and not resume:
        raise SinkError(f"{out}: holds a run already; use --resume, or another folder")
    out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)  # here, before workers are forked: its threads do not survive a fork
    if settings.threads:
        torch.set_num_threads(settings.threads)
    learned_from = recipe.training(data, settings)
    validation = recipe.evaluation(data, recipe.splits[0])
    state = _fresh(recipe, settings, device)
    if state_path.exists():
        state.load(state_path, settings)

    per_epoch = max(1, learned_from.pictures // settings.batch)
    total = settings.epochs * per_epoch
    saved_at = started = time.monotonic()
    earlier = state.seconds
    losses: list[float] = []

    def measure(name: str) -> None:
        matrix = _evaluate(recipe, state.average, validation)
        table = f1_table(matrix, recipe.label_set)
        event = {"event": name, "step": state.step, "seconds": round(state.seconds), "f1": table}
        _log(out, event)
        report(event)
        epochs = state.step / per_epoch
        provenance = {
            "recipe": recipe.name,
            "data": learned_from.description,
            "date": dt.date.today().isoformat(),
            "command": command,
            "epochs": round(epochs, 2),
        }
        if settings.start_from is not None:
            provenance["started_from"] = dict(read_header(settings.start_from).provenance)
        _write(recipe, state.average, out / MODEL_FILE, provenance, matrix)

    for images, targets in _batches(learned_from.views, settings, start=state.step):
        state.seconds = earlier + time.monotonic() - started
        if settings.minutes:
            progress = state.seconds / (60 * settings.minutes)
        else:
            progress = state.step / total
        if progress >= 1:
            break
        rate = settings.learning_rate * one_cycle(progress, warm_up=settings.warm_up)
        losses.append(_step(recipe, state, images, targets, learned_from, settings, rate))
        state.step += 1
        if state.step % 25 == 0:
            event = {
                "event": "step",
                "step": state.step,
                "of": None if settings.minutes else total,
                "progress": round(progress, 4),
                "seconds": round(state.seconds, 1),
                "learning_rate": rate,
                "loss": round(float(np.mean(losses)), 5),
            }
            losses.clear()
            _log(out, event)
            report(event)
        if state.step % (settings.evaluate_every * per_epoch) == 0:
            measure("evaluation")
        if time.monotonic() - saved_at > 60 * settings.save_minutes:
            saved_at = time.monotonic()
            state.save(state_path, settings)
    state.save(state_path, settings)
    measure("end")
    return out / MODEL_FILE


def _fresh(recipe: Recipe, settings: FitSettings, device: str) -> _State:
    torch.manual_seed(settings.seed)
    model = build_model(recipe.architecture, classes=len(recipe.label_set), options=recipe.options)
    if settings.start_from is not None:
        first = read_checkpoint(settings.start_from)
        if (first.architecture, dict(first.options), first.label_set.names) != (
            recipe.architecture,
            dict(recipe.options),
            recipe.label_set.names,
        ):
            raise SettingError(
                f"{settings.start_from}: holds another network ({first.architecture}, "
                f"{len(first.label_set)} classes) than {recipe.name} trains"
            )
        model.load_state_dict(create_model(first).state_dict())
    model = model.to(device).to(memory_format=torch.channels_last).train()
    average = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": settings.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        betas=(0.9, 0.99),
    )
    return _State(model=model, average=average, optimizer=optimizer)


def _batches(
    views: Views, settings: FitSettings, *, start: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches without end, from step `start` on; the same whatever the number of workers."""
    size = settings.batch
    steps = (list(range(s * size, (s + 1) * size)) for s in itertools.count(start))
    loader: DataLoader[Any] = DataLoader(
        _Indexed(views),
        batch_sampler=steps,
        num_workers=settings.workers,
        prefetch_factor=6 if settings.workers else None,
    )
    yield from loader


def _step(
    recipe: Recipe,
    state: _State,
    images: torch.Tensor,
    targets: torch.Tensor,
    learned_from: TrainingData,
    settings: FitSettings,
    rate: float,
) -> float:
    """One step of the optimizer and of the moving average; the loss."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    device = next(state.model.parameters()).device
    inputs = normalised(images.to(device), mean=recipe.mean, std=recipe.std)
    half = settings.precision == "bf16"
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
        logits = state.model(inputs)
    skip = settings.loss_step
    phase = (state.step % skip, state.step // skip % skip)
    logits = upsample_at(logits.float(), stride=recipe.stride, step=skip, phase=phase)
    wanted = targets[:, phase[0] :: skip, phase[1] :: skip].to(device).long()
    loss = cross_entropy(logits, wanted, sets=learned_from.sets)
    if settings.dice:
        loss = loss + settings.dice * soft_dice(logits, wanted)
    if settings.region and recipe.regions:
        loss = loss + settings.region * region_dice(logits, wanted, regions=recipe.regions)
    state.optimizer.zero_grad(set_to_none=True)
    if not torch.isfinite(loss):
        raise RtsegError(
            f"the loss is no longer a number at step {state.step}; lower the learning rate, or "
            "use --set precision=fp32"
        )
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.model.parameters(), settings.clip)
    state.optimizer.step()
    # a short memory at first: the average must not drag the random first weights along
    decay = min(settings.average, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        now = state.model.state_dict()
        for name, value in state.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(now[name], 1 - decay)
            else:
                value.copy_(now[name])
    return float(loss.detach())


def _evaluate(recipe: Recipe, model: nn.Module, dataset: Any) -> Matrix:
    size = (recipe.input_height, recipe.input_width)
    predictor = Predictor(
        model, height=size[0], width=size[1], fit=recipe.fit, mean=recipe.mean, std=recipe.std
    )
    return evaluate(predictor, dataset, size=size)


def _write(
    recipe: Recipe,
    model: nn.Module,
    path: Path,
    provenance: Mapping[str, Any],
    matrix: Matrix,
) -> None:
    tensors = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
    accuracy = {
        "split": recipe.splits[0],
        "size": f"{recipe.input_width}x{recipe.input_height}",
        "f1": f1_table(matrix, recipe.label_set),
        "pixels": pixel_counts(matrix, recipe.label_set),
    }
    checkpoint = recipe.checkpoint(tensors, provenance=provenance, accuracy=accuracy)
    write_checkpoint(checkpoint, path, half=True)


def _plain(settings: FitSettings) -> dict[str, Any]:
    values = dataclasses.asdict(settings)
    return {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}


def _log(out: Path, event: Mapping[str, Any]) -> None:
    with (out / LOG_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")

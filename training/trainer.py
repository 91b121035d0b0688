"""Train a recipe: any device, one process or several, resumable at every saved state."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from rtseg.checkpoint import read_spec, write_checkpoint
from rtseg.errors import SettingError, SinkError, SourceError
from training.data.base import Dataset
from training.distributed import Group
from training.evaluation.metrics import Matrix, f1_table, iou_of, mean_of, pixel_counts
from training.evaluation.predictor import Predictor, evaluate
from training.losses.named import LossContext, make_loss
from training.recipes.base import Recipe, TrainingData, Views
from training.settings import FitSettings
from training.state import RunState, fresh_state
from training.step import Part, Stepper
from training.teachers import check_teachers

STATE_FILE = "state.pt"
MODEL_FILE = "model.safetensors"
LOG_FILE = "log.jsonl"

TRIES = 20
"""The most broken views in a row before a run that skips them gives up."""

Report = Callable[[Mapping[str, Any]], None]
"""Called with a run's events as plain values, every so many steps and at every evaluation."""


class _Indexed(TorchDataset[tuple[Any, Any, str]]):
    """Views that report broken pictures instead of failing.

    A broken view is replaced by the next one. Errors are returned as text, because an exception
    from a worker process would arrive wrapped in its traceback.
    """

    def __init__(self, views: Views) -> None:
        self.views = views

    def __getitem__(self, index: int) -> tuple[Any, Any, str]:
        broken: list[str] = []
        for other in range(index, index + TRIES):
            try:
                return (*self.views[other], "\n".join(broken))
            except SourceError as error:
                broken.append(str(error))
        raise SourceError(f"{TRIES} views in a row are broken, the last: {broken[-1]}")


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
    group: Group | None = None,
) -> Path:
    """Train, and write `model.safetensors`, `state.pt` and `log.jsonl` into `out`.

    Args:
        command: the command line, for the checkpoint's provenance.
        resume: continue from `out`'s saved state, if any; on a CPU the result is identical, bit
            for bit, to an uninterrupted run.
        group: the processes that share the run; by default only this one.

    Returns:
        The checkpoint's path.

    Raises:
        SettingError: the settings do not fit the saved state, or name no network that answers the
            recipe's open questions.
        SinkError: `out` contains a run already and `resume` is False.
        SourceError: data is missing or broken.
    """
    run = _Run(
        recipe=recipe.with_input(settings.input_height, settings.input_width),
        settings=settings,
        data=data,
        out=out,
        command=command,
        report=report,
        group=group or Group(device=device),
        resume=resume,
    )
    run.train()
    return out / MODEL_FILE


class _Run:
    """One call of `fit`."""

    def __init__(
        self,
        *,
        recipe: Recipe,
        settings: FitSettings,
        data: Path,
        out: Path,
        command: str,
        report: Report,
        group: Group,
        resume: bool,
    ) -> None:
        self.recipe, self.settings, self.out, self.command = recipe, settings, out, command
        self.report, self.group = report, group
        if recipe.answers is not None and settings.answers_from is None:
            raise SettingError(
                f"`answers_from`: {recipe.name} needs a trained network that decides which class "
                f"of a set pixels show, such as that of {recipe.answers.name}; none was given"
            )
        # before the data are loaded, which takes minutes
        for path in (settings.start_from, settings.answers_from):
            if path is not None:
                read_spec(path)
        check_teachers(settings.teachers_from, recipe.spec)
        state_path = out / STATE_FILE
        if state_path.exists() and not resume:
            raise SinkError(f"{out}: holds a run already; use --resume, or another folder")
        self.group.wait()  # every process has checked before any of them writes
        out.mkdir(parents=True, exist_ok=True)
        cv2.setNumThreads(1)  # before workers are forked, because its threads do not survive a fork
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.learned_from: TrainingData = recipe.training(data, settings)
        self.data = data
        self.validation: Dataset = recipe.evaluation(data, recipe.splits[0])
        self.state: RunState = fresh_state(recipe, settings, device=group.device)
        self.start = self._initial_weights()
        if state_path.exists():
            self.state.load(state_path, settings)
        self.per_epoch = max(1, self.learned_from.pictures // settings.batch)
        self.broken: dict[str, int] = {}

    def train(self) -> None:
        """Train from the current state to the end."""
        settings, state = self.settings, self.state
        total = settings.epochs * self.per_epoch
        loss = make_loss(settings.loss, self._loss_context())
        stepper = Stepper(
            *(self.recipe, settings, state, loss, self.group),
            total=total,
            per_epoch=self.per_epoch,
        )
        saved_at = started = time.monotonic()
        earlier = state.seconds
        losses: list[float] = []
        for parts in self._steps(start=state.step):
            state.seconds = self.group.agreed(earlier + time.monotonic() - started)
            if state.step >= total:
                break
            value, rate = stepper(parts)
            losses.append(value)
            if state.step % 25 == 0 or state.step % self.per_epoch == 0:
                self._tell_step(losses, rate=rate, total=total)
                losses.clear()
            if state.step % (settings.evaluate_every * self.per_epoch) == 0:
                self.measure("evaluation", state.average.module)
            if time.monotonic() - saved_at > 60 * settings.save_minutes:
                saved_at = time.monotonic()
                self._save()
        self._save()
        self.measure("end", self._result())

    def _initial_weights(self) -> dict[str, torch.Tensor]:
        """The weights to be mixed into the result, if any, before training changes them."""
        if not self.settings.start_share:
            return {}
        if self.settings.start_from is None:
            raise SettingError("`start_share` needs weights to start from; set `start_from` too")
        return {name: value.clone() for name, value in self.state.model.state_dict().items()}

    def _result(self) -> nn.Module:
        """The averaged network, or its mean with the network that the run started from.

        The mean of the weights before and after a further run is often better than either
        (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).
        """
        average: nn.Module = self.state.average.module
        if not self.start:
            return average
        result = copy.deepcopy(average)
        weights = result.state_dict()
        for name, start in self.start.items():
            if weights[name].is_floating_point():
                weights[name].lerp_(start, self.settings.start_share)
        return result

    def _save(self) -> None:
        if self.group.leads:
            self.state.save(self.out / STATE_FILE, self.settings)

    def _loss_context(self) -> LossContext:
        return LossContext(
            sets=self.learned_from.sets,
            regions=self.recipe.regions,
            background=self.recipe.spec.label_set.background,
            class_shares=self.learned_from.class_shares,
        )

    def _steps(self, *, start: int) -> Iterator[list[Part]]:
        """Yield this process's views of each step in parts, the same for any number of workers."""
        settings, parts = self.settings, []
        for images, targets, broken in _batches(
            self.learned_from.views, settings, group=self.group, start=start
        ):
            self._count_broken(broken)
            parts.append((images, targets))
            if len(parts) == settings.accumulate:
                yield parts
                parts = []

    def _count_broken(self, messages: list[str]) -> None:
        for message in itertools.chain.from_iterable(text.splitlines() for text in messages):
            if not self.settings.skip_broken:
                raise SourceError(f"{message}; --skip-broken skips such pictures")
            if message not in self.broken:
                self.tell({"event": "broken", "step": self.state.step, "message": message})
            self.broken[message] = self.broken.get(message, 0) + 1

    def _tell_step(self, losses: list[float], *, rate: float, total: int) -> None:
        self.tell(
            {
                "event": "step",
                "step": self.state.step,
                "of": total,
                "progress": round(self.state.step / total, 4),
                "seconds": round(self.state.seconds, 1),
                "learning_rate": rate,
                "loss": round(float(np.mean(losses)), 5),
            }
        )

    def tell(self, event: Mapping[str, Any]) -> None:
        """Log and report an event."""
        if self.group.leads:
            with (self.out / LOG_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(event) + "\n")
            self.report(event)

    def measure(self, name: str, model: nn.Module) -> None:
        """Evaluate a network, and write it as the checkpoint if it is to be kept."""
        if self.recipe.figures is not None:
            self._measure_figures(name, model)
            return
        matrix = self.group.summed(measured(self.recipe, model, self.group.part(self.validation)))
        label_set = self.recipe.spec.label_set
        mean_iou = mean_of([iou_of(matrix, [i]) for i in range(len(label_set))])
        self.tell(
            {
                "event": name,
                "step": self.state.step,
                "seconds": round(self.state.seconds),
                "f1": f1_table(matrix, label_set),
                "mean_iou": round(mean_iou, 4),
                "broken": len(self.broken),
            }
        )
        is_kept = self.settings.keep == "last" or mean_iou > self.state.best
        self.state.best = max(self.state.best, mean_iou)
        if self.group.leads and is_kept:
            self._write(model, accuracy_of(self.recipe, matrix))

    def _measure_figures(self, name: str, model: nn.Module) -> None:
        """Like `measure`, with the recipe's own metrics; every process measures everything."""
        recipe, state = self.recipe, self.state
        assert recipe.figures is not None
        figures = dict(recipe.figures(model, self.data, recipe.splits[0]))
        self.tell(
            {
                "event": name,
                "step": state.step,
                "seconds": round(state.seconds),
                "figures": figures,
                "mean_iou": figures["mean"],
                "broken": len(self.broken),
            }
        )
        is_kept = self.settings.keep == "last" or figures["mean"] > state.best
        state.best = max(state.best, float(figures["mean"]))
        if self.group.leads and is_kept:
            self._write(model, {"split": recipe.splits[0], **figures})

    def _write(self, model: nn.Module, accuracy: Mapping[str, Any]) -> None:
        recipe = self.recipe
        weights = model.state_dict()
        tensors = {name: value.cpu().numpy() for name, value in weights.items()}
        provenance: dict[str, Any] = {
            "recipe": recipe.name,
            "data": self.learned_from.description,
            "date": dt.date.today().isoformat(),
            "command": self.command,
            "epochs": round(self.state.step / self.per_epoch, 2),
        }
        networks = {
            "started_from": self.settings.start_from,
            "answers_from": self.settings.answers_from,
        }
        provenance |= {
            name: dict(read_spec(path).provenance) for name, path in networks.items() if path
        }
        if self.settings.teachers_from:
            teachers = [dict(read_spec(path).provenance) for path in self.settings.teachers_from]
            provenance["teachers_from"] = teachers
        if self.start:
            provenance["start_share"] = self.settings.start_share
        if self.state.loaded:
            provenance["encoder"] = self.state.loaded
        if self.broken:
            provenance["skipped"] = sorted(self.broken)
        checkpoint = recipe.checkpoint(tensors, provenance=provenance, accuracy=accuracy)
        write_checkpoint(checkpoint, self.out / MODEL_FILE, half=True)


def accuracy_of(recipe: Recipe, matrix: Matrix) -> dict[str, Any]:
    """The entry in a model's header about its accuracy on the recipe's first split."""
    return {
        "split": recipe.splits[0],
        "size": f"{recipe.spec.input_width}x{recipe.spec.input_height}",
        "f1": f1_table(matrix, recipe.spec.label_set),
        "pixels": pixel_counts(matrix, recipe.spec.label_set),
    }


def measured(recipe: Recipe, model: nn.Module, dataset: Dataset) -> Matrix:
    """Compute a network's confusion matrix under the recipe's protocol."""
    predictor = Predictor(
        model,
        height=recipe.spec.input_height,
        width=recipe.spec.input_width,
        fit=recipe.spec.fit,
        mean=recipe.spec.mean,
        std=recipe.spec.std,
    )
    size = (recipe.spec.input_height, recipe.spec.input_width)
    return evaluate(predictor, dataset, size=size, fit=recipe.spec.fit)


def _batches(
    views: Views, settings: FitSettings, *, group: Group, start: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, list[str]]]:
    each = settings.batch // settings.accumulate
    first = start * settings.accumulate
    shares = (
        list(group.share(range(part * each, (part + 1) * each))) for part in itertools.count(first)
    )
    loader: DataLoader[Any] = DataLoader(
        _Indexed(views),
        batch_sampler=shares,
        num_workers=settings.workers,
        prefetch_factor=6 if settings.workers else None,
        pin_memory=group.on_cuda,
    )
    yield from loader

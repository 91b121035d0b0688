"""Trained networks whose opinion a run learns besides the labels.

Labels say which class a pixel shows; a trained network also says which others it might have been,
and is wrong less often than a single label is (Hinton, Vinyals and Dean, Distilling the Knowledge
in a Neural Network, 2015). Several networks, each shown a picture or its mirror image, are better
than any of them, and what is learnt from them costs nothing at run-time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from rtseg.checkpoint import ModelSpec, read_checkpoint, read_spec
from rtseg.errors import SettingError
from rtseg.models import create_model


class Teachers:
    """Networks with the classes, the input and the output size of the one that learns from them.

    Args:
        paths: their checkpoints.
        spec: of the network that learns.
        device: where it learns.

    Raises:
        ModelError: a checkpoint cannot be read.
        SettingError: it holds a network with other classes or another input.
    """

    def __init__(self, paths: Sequence[Path], *, spec: ModelSpec, device: str) -> None:
        self.networks = []
        for path in paths:
            checkpoint = read_checkpoint(path)
            _check(checkpoint.spec, spec, path)
            model = create_model(checkpoint).eval().requires_grad_(requires_grad=False)
            self.networks.append(model.to(device).to(memory_format=torch.channels_last))
        mirrored = list(range(len(spec.label_set)))
        for first, second in spec.label_set.flip_pairs:
            mirrored[first], mirrored[second] = second, first
        self.mirrored = torch.tensor(mirrored, device=device)

    @torch.no_grad()
    def __call__(self, inputs: torch.Tensor, *, step: int) -> torch.Tensor | None:
        """The mean of their probabilities, float32 (batch, classes, height, width) of the outputs.

        In turns, every other one of them is shown the mirror image. None if there are none.

        Args:
            inputs: normalised, (batch, 3, height, width).
            step: number of the step, which decides whose turn it is.
        """
        total: torch.Tensor | None = None
        for place, network in enumerate(self.networks):
            if (place + step) % 2:
                logits = network(inputs.flip(3)).flip(3)[:, self.mirrored]
            else:
                logits = network(inputs)
            probabilities = logits.float().softmax(1)
            total = probabilities if total is None else total.add_(probabilities)
        return None if total is None else total / len(self.networks)


def check_teachers(paths: Sequence[Path], spec: ModelSpec) -> None:
    """Look at their descriptions only, so that a run need not load its data to fail.

    Raises:
        ModelError: a checkpoint cannot be read.
        SettingError: it holds a network with other classes or another input than `spec`'s.
    """
    for path in paths:
        _check(read_spec(path), spec, path)


def _check(theirs: ModelSpec, ours: ModelSpec, path: Path) -> None:
    for what, found, wanted in (
        ("classes", theirs.label_set.names, ours.label_set.names),
        ("mean and deviation", (theirs.mean, theirs.std), (ours.mean, ours.std)),
        ("stride", theirs.stride, ours.stride),
    ):
        if found != wanted:
            raise SettingError(
                f"`teachers_from`: {path} is a network with other {what} ({found}) than the one "
                f"that learns ({wanted}); give networks of the same kind"
            )

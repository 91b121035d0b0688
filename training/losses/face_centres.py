"""The loss of a finder network, for the target maps of `training.augment.face_maps`."""

from __future__ import annotations

import torch
from torch.nn import functional

from rtseg.faces.centres import ACROSS, DOWN, GROUPS, ROLL, SHAPE, SIZE, Bins

_UNITS = {SIZE.name: 100.0, SHAPE.name: 100.0, ROLL.name: 1.0, ACROSS.name: 100.0, DOWN.name: 100.0}


def _in_bins(values: torch.Tensor, group: Bins) -> torch.Tensor:
    """Divide each value between its two neighbouring bins: (cells, bins)."""
    count = len(group.values)
    position = (values - float(group.values[0])) / group.step
    position = position % count if group.period else position.clamp(0, count - 1)
    low = position.floor()
    share = position - low
    first = low.long() % count
    second = (first + 1) % count if group.period else (first + 1).clamp(max=count - 1)
    spread = torch.zeros(len(values), count, device=values.device)
    spread.scatter_add_(1, first[:, None], (1 - share)[:, None])
    spread.scatter_add_(1, second[:, None], share[:, None])
    return spread


def face_centre_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Penalty-reduced focal loss for the score (CornerNet, ECCV 2018; CenterNet, 2019), plus
    cross-entropy for each quantity's bins at faces.

    Args:
        logits: float32 (batch, classes, rows, columns).
        targets: int64 (batch, rows, columns, 8), see `TargetMap`.
    """
    total = torch.logsumexp(logits, 1)
    log_none = logits[:, 0] - total
    log_face = torch.logsumexp(logits[:, 1:], 1) - total
    peak, counts = targets[..., 0] / 1000.0, targets[..., 1] / 1000.0
    score = log_face.exp()
    is_peak = (targets[..., 0] >= 1000).float()
    hits = -(is_peak * (1 - score) ** 2 * log_face)
    denied = -((1 - is_peak) * (1 - peak) ** 4 * score**2 * log_none)
    number = is_peak.sum().clamp(min=1)
    loss = ((hits + denied) * counts).sum() / number
    weights = targets[..., 7] / 100.0
    where = weights > 0
    if not bool(where.any()):
        return loss
    face_logits = logits.permute(0, 2, 3, 1)[where]  # (cells, classes)
    face_targets, weight = targets[where], weights[where]
    weight = weight / weight.sum()
    masses = []
    for place, group in enumerate(GROUPS):
        part = face_logits[:, group.classes]
        masses.append(torch.logsumexp(part, 1))
        values = face_targets[:, 2 + place].float() / _UNITS[group.name]
        each = -(_in_bins(values, group) * functional.log_softmax(part, 1)).sum(1)
        loss = loss + 0.3 * (each * weight).sum()
    # keep all groups equally likely, so that none becomes too small for float16
    even = -functional.log_softmax(torch.stack(masses, 1), 1).mean(1)
    return loss + 0.05 * (even * weight).sum()

"""Run a network naively, as a model repository would: the baseline for the backends.

The unmodified module in PyTorch, FP32, channels first, from normalised pictures to softmax, without
folding or layout changes. Only `rtseg bench --backend all` uses it.
"""

from __future__ import annotations

import numpy as np
import torch

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.backends.torch.backend import set_thread_budget
from rtseg.checkpoint import Checkpoint
from rtseg.errors import BackendError
from rtseg.models import create_model


class EagerBackend(Backend):
    """Runs a checkpoint's unmodified module on the processor.

    Args:
        checkpoint: the model with its weights.
        threads: processor threads; 0 means one per core.

    Raises:
        SettingError: the number of threads is out of range.
        ModelError: the weights do not fit the architecture.
    """

    name = "eager"
    device = "cpu"
    precision = "fp32"

    def __init__(self, checkpoint: Checkpoint, *, threads: int = 0) -> None:
        self.threads = set_thread_budget(threads)
        self.model = checkpoint.spec
        self.reason = f"eager on cpu, fp32 (the module as it is), {self.threads} threads"
        self._network: torch.nn.Module | None = create_model(checkpoint).eval()
        self._mean = torch.tensor(self.model.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(self.model.std).view(1, 3, 1, 1)

    @torch.inference_mode()
    def infer(self, crops: Crops) -> ProbabilityBatch:
        """See `Backend.infer`."""
        self.check_crops(crops)
        network = self._network
        if network is None:
            raise BackendError("the eager backend is closed; open a new one")
        pixels = torch.from_numpy(np.require(crops, requirements=("C", "W")))
        pictures = pixels.permute(0, 3, 1, 2).contiguous().float() / 255
        logits = network((pictures - self._mean) / self._std)
        probabilities: ProbabilityBatch = logits.softmax(dim=1).permute(0, 2, 3, 1).numpy()
        return probabilities

    def close(self) -> None:
        """See `Backend.close`."""
        self._network = None

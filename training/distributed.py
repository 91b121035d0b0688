"""Train in several processes with torchrun, on one machine or several.

`python -m training fit …` is a single process. `--processes N` starts N processes on this machine,
and `torchrun … -m training fit …` any number on one machine or several; each joins the group that
torchrun describes in the environment. The views of each step are divided among the processes, and
gradients are averaged. An evaluation divides the pictures, counting each exactly once.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from rtseg.errors import BackendError, SettingError
from training.data.base import Dataset
from training.data.subset import Subset
from training.evaluation.metrics import Matrix

TIMEOUT = dt.timedelta(minutes=10)
"""How long a process waits for the others, which may be reading a large data set."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """This process's place among the processes of a run.

    Attributes:
        rank: 0..size-1; rank 0 writes all files.
        size: number of processes.
        device: this process's device.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    @property
    def on_cuda(self) -> bool:
        """Whether this process trains on an NVIDIA GPU."""
        return torch.device(self.device).type == "cuda"

    def share(self, indices: Sequence[int]) -> Sequence[int]:
        """This process's equal share of a step's views."""
        each = len(indices) // self.size
        return indices[self.rank * each : (self.rank + 1) * each]

    def part(self, dataset: Dataset) -> Dataset:
        """This process's part of a data set; the parts do not overlap."""
        if self.size == 1:
            return dataset
        return Subset(dataset=dataset, indices=range(self.rank, len(dataset), self.size))

    def summed(self, matrix: Matrix) -> Matrix:
        """The sum of every process's matrix, exact."""
        if self.size == 1:
            return matrix
        tensor = torch.from_numpy(matrix.astype(np.int64)).to(self.device)
        torch.distributed.all_reduce(tensor)
        return tensor.cpu().numpy()

    def average_weight(self, counted: torch.Tensor) -> float:
        """The weight of this process's mean loss such that the average over processes is the mean
        over all pixels: its share of the counted pixels times the number of processes.
        """
        if self.size == 1:
            return 1.0
        total = counted.to(self.device, torch.float64).clone()
        torch.distributed.all_reduce(total)
        return float(counted * self.size / total.clamp(min=1))

    def agreed(self, value: float) -> float:
        """Return the first process's value in all processes, whose clocks may differ."""
        if self.size == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(tensor, src=0)
        return float(tensor)

    def wait(self) -> None:
        """Wait until every process has reached this point."""
        if self.size > 1:
            torch.distributed.barrier()

    def wrapped(self, model: nn.Module) -> nn.Module:
        """Wrap the model so that gradients are averaged over the processes."""
        if self.size == 1:
            return model
        if self.device.startswith("cuda"):
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
            return nn.parallel.DistributedDataParallel(model, device_ids=[int(self.device[5:])])
        return nn.parallel.DistributedDataParallel(model)


@contextmanager
def joined(device: str) -> Iterator[Group]:
    """Join the group that torchrun describes; a group of one if torchrun did not start us.

    Raises:
        BackendError: another process of the group is gone.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group(device=device)
        return
    rank, local = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    if device.startswith("cuda"):
        device = f"cuda:{local}"
        torch.cuda.set_device(local)
    backend = "nccl" if device.startswith("cuda") else "gloo"
    torch.distributed.init_process_group(backend, timeout=TIMEOUT)
    try:
        yield Group(rank=rank, size=size, device=device)
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if any(word in text.lower() for word in ("connection", "timed out", "nccl", "gloo")):
            raise BackendError(
                f"process {rank} of {size} lost another one of this run ({text[:160]}); the saved "
                "state is intact: restart all of them with --resume"
            ) from None
        raise
    finally:
        torch.distributed.destroy_process_group()


def launch(
    processes: int,
    arguments: Sequence[str],
    *,
    command: Sequence[str] = (sys.executable, "-m", "training"),
) -> None:
    """Run a command in several processes on this machine, and wait for them.

    Raises:
        SettingError: the number of processes is less than two.
        BackendError: one failed or was killed; the others were stopped.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    if processes < 2:
        raise SettingError(f"--processes must be 2 or more to start others; found {processes}")
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.2,
    )
    # the processes share the cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    try:
        elastic_launch(config, command[0])(*command[1:], *arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise BackendError(_what_ended(rank, processes, failure)) from None


def _what_ended(rank: int, processes: int, failure: Any) -> str:
    if failure.exitcode < 0:
        return (
            f"process {rank} of {processes} was killed by {failure.signal_name()}, and the others "
            "were stopped; the saved state is intact: continue with --resume"
        )
    return (
        f"process {rank} of {processes} ended with exit code {failure.exitcode} (its output "
        "is above), and the others were stopped"
    )

"""Process many files, in this process, in several or on a Ray cluster, and none twice.

    inputs = read_inputs(["clips/", "more.csv"])
    tasks = plan_tasks(inputs.sources, folder="done", settings=BatchSettings())
    report = run_batch(tasks, LocalRunner(2, tries=3), folder="done", bad=inputs.bad)

A task is one input and its output files. A file gets its name only once it is complete. In a
batch, a task counts as done once its record exists beside its files, so that after any interruption
a rerun does exactly what is missing. `plan_direct` and `run_direct` do the same for a handful of
files, without records.
"""

from __future__ import annotations

from rtseg.batch.base import Runner
from rtseg.batch.driver import run_batch, run_direct
from rtseg.batch.earlier import pending
from rtseg.batch.in_process import InProcessRunner
from rtseg.batch.inputs import BadInput, Inputs, expand_videos, read_inputs
from rtseg.batch.local_runner import LocalRunner
from rtseg.batch.planning import plan_direct, plan_tasks
from rtseg.batch.ray_runner import RayRunner
from rtseg.batch.results import BatchReport, TaskResult
from rtseg.batch.runners import runner_of
from rtseg.batch.table import read_results
from rtseg.batch.tasks import BatchSettings, BatchTask

__all__ = [
    "BadInput",
    "BatchReport",
    "BatchSettings",
    "BatchTask",
    "InProcessRunner",
    "Inputs",
    "LocalRunner",
    "RayRunner",
    "Runner",
    "TaskResult",
    "expand_videos",
    "pending",
    "plan_direct",
    "plan_tasks",
    "read_inputs",
    "read_results",
    "run_batch",
    "run_direct",
    "runner_of",
]

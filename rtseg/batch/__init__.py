"""Thousands of files: planned once, done by processes of this machine or by Ray, never twice.

    inputs = read_inputs(["clips/", "more.csv"])
    tasks = plan_tasks(inputs.sources, folder="done", settings=BatchSettings())
    report = run_batch(tasks, LocalRunner(2, tries=3), folder="done", bad=inputs.bad)

A task is one input and the files that it becomes. A file bears its name only once it is whole,
and a task counts as done once its record lies beside them, so that whatever is killed, a rerun does
what is missing and nothing else.
"""

from __future__ import annotations

from rtseg.batch.driver import BatchReport, pending, read_results, run_batch
from rtseg.batch.inputs import BadInput, Inputs, read_inputs
from rtseg.batch.runners import LocalRunner, RayRunner, Runner, runner_of
from rtseg.batch.tasks import BatchSettings, BatchTask, TaskResult, plan_tasks

__all__ = [
    "BadInput",
    "BatchReport",
    "BatchSettings",
    "BatchTask",
    "Inputs",
    "LocalRunner",
    "RayRunner",
    "Runner",
    "TaskResult",
    "pending",
    "plan_tasks",
    "read_inputs",
    "read_results",
    "run_batch",
    "runner_of",
]

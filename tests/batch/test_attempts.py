"""What a task's death on a cluster counts for, and how it is tried again."""

from __future__ import annotations

import pytest

from rtseg.batch import BatchTask, plan_tasks
from rtseg.batch.attempts import NODES_LOST, Attempt, Death
from rtseg.batch.tasks import BatchSettings


@pytest.fixture
def task() -> BatchTask:
    (task,) = plan_tasks(["a.mp4"], folder="out", settings=BatchSettings())
    return task


def lives(attempt: Attempt, death: Death, *, tries: int, largest: int) -> tuple[list[Attempt], str]:
    """Every try of a task that always dies the same way, and the reason to give up."""
    made = [attempt]
    while len(made) < 100:
        following = made[-1].after(death, tries=tries, largest=largest)
        if isinstance(following, str):
            return made, following
        made.append(following)
    raise AssertionError("it is tried for ever")


@pytest.mark.parametrize("tries", [1, 2, 3])
def test_a_task_killed_for_memory_is_given_up_only_with_a_node_to_itself(
    task: BatchTask, tries: int
) -> None:
    made, reason = lives(Attempt(task=task, processors=1), "memory", tries=tries, largest=6)
    assert [attempt.processors for attempt in made] == [1, 2, 4] + [6] * tries
    assert [attempt.number for attempt in made] == list(range(1, 4 + tries))
    assert "ran out of memory, with a node to itself" in reason


def test_each_kill_for_memory_is_followed_by_a_longer_pause(task: BatchTask) -> None:
    made, _ = lives(Attempt(task=task, processors=1), "memory", tries=5, largest=1)
    assert [attempt.pause for attempt in made] == [0, 5, 15, 45, 60]


def test_other_deaths_count_at_once_and_the_last_try_is_made_alone(task: BatchTask) -> None:
    made, reason = lives(Attempt(task=task, processors=2), "crash", tries=3, largest=8)
    assert [attempt.processors for attempt in made] == [2, 2, 8]
    assert [attempt.pause for attempt in made] == [0, 0, 0]
    assert reason == "its worker died"


def test_a_node_that_dies_is_not_the_files_fault(task: BatchTask) -> None:
    made, reason = lives(Attempt(task=task, processors=1), "node", tries=1, largest=8)
    assert len(made) == NODES_LOST
    assert {attempt.processors for attempt in made} == {1}
    assert reason == f"its node died {NODES_LOST} times"


def test_one_kind_of_death_does_not_count_as_another(task: BatchTask) -> None:
    attempt: Attempt | str = Attempt(task=task, processors=1)
    deaths: tuple[Death, ...] = ("memory", "node", "crash", "memory", "node")
    for death in deaths:
        assert isinstance(attempt, Attempt)
        attempt = attempt.after(death, tries=2, largest=64)
    assert isinstance(attempt, Attempt)
    assert attempt.number == 6


def test_a_smaller_cluster_lowers_no_request(task: BatchTask) -> None:
    """A task that asks for more than the largest node still asks for what it needs."""
    for death in ("memory", "crash"):
        following = Attempt(task=task, processors=8).after(death, tries=2, largest=4)
        assert isinstance(following, Attempt)
        assert following.processors == 8

"""Decide from a task's earlier tries on a cluster whether and how it is tried again.

A worker that dies may have been killed by its own file, by the memory that its neighbours took, or
with its node. Only the first is the file's fault, so they are counted apart:

- killed for memory: after a pause, with more processors, so that fewer tasks share the node, in
  the end with a node to itself. Only what happens then counts.
- died of something else: counts at once; the last try has a node to itself too, since a worker
  that the kernel kills for memory reports no reason.
- its node died: counts towards a limit of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rtseg.batch.tasks import BatchTask

Death = Literal["memory", "crash", "node"]

NODES_LOST = 10
"""How many nodes may die under a task before it is suspected of killing them."""

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0
"""The pause after a kill for memory: three times as long each time, from the first to the last."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A task about to be started, and what became of its earlier tries.

    Attributes:
        task: the task.
        processors: the processors that it asks for.
        number: 1 for the first try.
        crashes, nodes: tries that ended with a worker that died, or with their node.
        kills: tries that ended for memory.
        own_kills: those of them that had a node to themselves.
        pause: seconds to wait before it is started.
    """

    task: BatchTask
    processors: int
    number: int = 1
    crashes: int = 0
    nodes: int = 0
    kills: int = 0
    own_kills: int = 0
    pause: float = 0.0

    def after(self, death: Death, *, tries: int, largest: int) -> Attempt | str:
        """Decide what follows a death: the next try, or the reason to give up.

        Args:
            death: why the try ended.
            tries: how many tries a file may spoil.
            largest: the processors of the largest node.
        """
        again = replace(self, number=self.number + 1, pause=0.0)
        if death == "node":
            if self.nodes + 1 >= NODES_LOST:
                return f"its node died {NODES_LOST} times"
            return replace(again, nodes=self.nodes + 1)
        if death == "crash":
            crashes = self.crashes + 1
            if crashes >= tries:
                return "its worker died"
            is_last = crashes + 1 == tries
            processors = max(self.processors, largest) if is_last else self.processors
            return replace(again, crashes=crashes, processors=processors)
        own_kills = self.own_kills + (self.processors >= largest)
        if own_kills >= tries:
            return "its worker ran out of memory, with a node to itself"
        return replace(
            again,
            kills=self.kills + 1,
            own_kills=own_kills,
            processors=max(self.processors, min(2 * self.processors, largest)),
            pause=min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 3**self.kills),
        )

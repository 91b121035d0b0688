"""Keep the results of a long trial of faults in a file, so that it can be made in pieces."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """How a run of tests went: `passed`, `failed` or `out of time`, and what it took."""

    outcome: str
    seconds: float
    processor_seconds: float


@dataclass
class Log:
    """What is known of a checkout already, so that a long trial can be made in pieces.

    Attributes:
        path: the file that keeps it, or None.
        checkout: a digest of the code and the tests. What was known of others is forgotten.
        usual: the runs of test files without a fault.
        tried: for each fault in words, the file of tests that noticed it and how, or None.
        until: when to stop, on the monotonic clock.
    """

    path: Path | None
    checkout: str
    usual: dict[str, Run] = field(default_factory=dict)
    tried: dict[str, str | None] = field(default_factory=dict)
    until: float = float("inf")

    @classmethod
    def opened(cls, path: Path | None, root: Path, *, minutes: float | None) -> Log:
        """Read the log of a copy of a checkout, or begin one."""
        digest = hashlib.sha256()
        for file in sorted(root.rglob("*.py")):
            digest.update(file.read_bytes())
        log = cls(path, digest.hexdigest())
        if path is not None and path.exists():
            content = json.loads(path.read_text("utf-8"))
            if content["checkout"] == log.checkout:
                log.usual = {test: Run(**run) for test, run in content["usual"].items()}
                log.tried = content["tried"]
        if minutes is not None:
            log.until = time.monotonic() + 60 * minutes
        return log

    def save(self) -> None:
        """Write the file, and leave the trial if its time is up.

        Raises:
            Unfinished: the time is up.
        """
        if self.path is not None:
            content = {
                "checkout": self.checkout,
                "usual": {test: asdict(run) for test, run in self.usual.items()},
                "tried": self.tried,
            }
            self.path.write_text(json.dumps(content, indent=1), "utf-8")
        if time.monotonic() > self.until:
            raise Unfinished


class Unfinished(Exception):
    """The time is up; the log says what was done."""

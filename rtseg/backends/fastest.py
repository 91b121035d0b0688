"""Which precision is fastest for a model on this machine: measured once, and remembered.

A measurement at every start would sometimes choose between near equals differently, and with the
precision single pixels of the results change. So the first start measures, and the following ones
read what it wrote to the user's cache folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rtseg.errors import BackendError
from rtseg.system.cache import locked, private_folder, user_cache, write_private
from rtseg.system.machine import processor_name

TURNS, LEAST_TURNS = 20, 3
LONGEST_SECONDS = 3.0
"""No further turn starts after this time, so that a slow machine does not wait for all of them."""

WORTH_IT = 1.05
"""How many times as fast as the other precision INT8 must be for `auto` to take it: for less, it
would only flicker a little more."""

_LOCK_SECONDS = 60.0
_MAX_BYTES = 2**16

_log = logging.getLogger("rtseg")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a measurement depends on.

    Attributes:
        run_time: the name and version of the run-time, as `openvino 2026.4.1`.
        models: SHA-256 of the compared models.
        threads: the number of processor threads.
        processor: the processor's name.
    """

    run_time: str
    models: tuple[str, ...]
    threads: int
    processor: str

    @property
    def file_name(self) -> str:
        """The name of the file that keeps its result."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """The result of a measurement.

    Attributes:
        milliseconds: the shortest time of a crop by precision.
        measured: its day, ISO 8601.
    """

    milliseconds: Mapping[str, float]
    measured: str

    @property
    def int8_is_worth_it(self) -> bool:
        """Whether INT8 is clearly faster than the other precision."""
        others = [ms for name, ms in self.milliseconds.items() if name != "int8"]
        return WORTH_IT * self.milliseconds["int8"] <= min(others)

    def line(self) -> str:
        """Describe it for people: `bf16 6.6, int8 5.7 ms a crop, measured 2026-11-26`."""
        times = ", ".join(f"{name} {ms:.1f}" for name, ms in self.milliseconds.items())
        return f"{times} ms a crop, measured {self.measured}"


def trial(library: str, *models: str, threads: int) -> Trial:
    """Describe a measurement on this machine with the installed version of a library."""
    version = getattr(importlib.import_module(library), "__version__", "of unknown version")
    return Trial(
        run_time=f"{library} {version}",
        models=models,
        threads=threads,
        processor=processor_name(),
    )


def remembered_speeds(
    compared: Trial,
    measure: Callable[[], Mapping[str, float]],
    *,
    folder: Path | None = None,
) -> Speeds:
    """Return what was measured before for the same trial; the first call measures.

    Processes that start at the same time wait for the first one, so that all of them choose alike.
    If the folder cannot be used, every call measures.

    Args:
        compared: identifies the measurement.
        measure: returns milliseconds by precision, as `fastest_in_turns` does.
        folder: where results are kept; by default in the user's cache folder.
    """
    try:
        path = private_folder(speeds_folder() if folder is None else folder) / compared.file_name
        before = _read(path, compared)
        if before is not None:
            return before
        with locked(path, timeout_seconds=_LOCK_SECONDS):
            before = _read(path, compared)
            if before is not None:
                return before
            speeds = _measured(measure)
            write_private(path, json.dumps(asdict(compared) | asdict(speeds)).encode())
            return speeds
    except BackendError as error:
        _log.info("which precision is fastest is measured at every start: %s", error)
        return _measured(measure)


def speeds_folder() -> Path:
    """The folder in which results are kept."""
    return user_cache("speeds")


def forget_speeds(folder: Path | None = None) -> int:
    """Delete all results, so that the next start measures again; return how many there were.

    Raises:
        BackendError: one cannot be deleted.
    """
    paths = list((speeds_folder() if folder is None else folder).glob("*.json"))
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise BackendError(f"{path}: cannot be deleted: {error.strerror}") from None
    return len(paths)


def fastest_in_turns(
    candidates: Mapping[str, Callable[[], object]],
    *,
    turns: int = TURNS,
    longest_seconds: float = LONGEST_SECONDS,
) -> dict[str, float]:
    """Return the shortest time of each function in milliseconds.

    They are called in turns, with one uncounted turn first, and each one's best time counts, so
    that a busy moment does not decide.

    Args:
        candidates: the functions by name.
        turns: how many calls of each are counted, at most.
        longest_seconds: no further turn starts after this time, but three are always counted.
    """
    fastest = dict.fromkeys(candidates, float("inf"))
    begin = time.perf_counter()
    for turn in range(turns + 1):
        if turn > LEAST_TURNS and time.perf_counter() - begin > longest_seconds:
            break
        for name, call in candidates.items():
            start = time.perf_counter()
            call()
            if turn:
                fastest[name] = min(fastest[name], (time.perf_counter() - start) * 1e3)
    return fastest


def _measured(measure: Callable[[], Mapping[str, float]]) -> Speeds:
    return Speeds(
        milliseconds={name: round(ms, 3) for name, ms in measure().items()},
        measured=datetime.now(UTC).date().isoformat(),
    )


def _read(path: Path, compared: Trial) -> Speeds | None:
    """Read a result; None if there is none for this trial, or its file is damaged."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        with path.open("rb") as file:
            content = json.loads(file.read(_MAX_BYTES))
        wanted = json.loads(json.dumps(asdict(compared)))
        milliseconds = {str(name): float(ms) for name, ms in content["milliseconds"].items()}
        day = datetime.fromisoformat(content["measured"]).date().isoformat()
        if (
            {key: content[key] for key in wanted} == wanted
            and len(milliseconds) == 2
            and all(math.isfinite(ms) and ms > 0 for ms in milliseconds.values())
        ):
            return Speeds(milliseconds=milliseconds, measured=day)
    return None

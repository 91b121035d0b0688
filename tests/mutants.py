"""Measure how many faults the tests catch: `make mutants` puts small faults into the code, one at a
time, and lists those that no test notices.

The faults are a seeded sample from each room of `ROOMS`: operators, comparisons, numbers and
constants are changed (by cosmic-ray's operators), and statements and factors are removed. Each
fault is put into a copy of this checkout, where the room's tests run until the first one fails: the
file named after the module first, then the fastest. Every run is a fork of one process that has
loaded the libraries already, so a run costs little more than its tests.

Faults that no test can notice stand in `mutants_justified.toml`, each with its reason.

    python -m tests.mutants                                  # 20 faults of every room
    python -m tests.mutants --room channel faces --count 40 --seed 2
    python -m tests.mutants --room channel --list            # shows the faults, runs nothing
    python -m tests.mutants --minutes 8 --log faults.json    # in pieces: run it again to go on
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.fault_log import Log, Run, Unfinished
from tests.support.faults import Mutant, choose, find_mutants

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Room:
    """Modules (or folders of them) to change, and the test files and folders that should notice."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    without: tuple[str, ...] = ()


ROOMS = {
    "pipeline": Room(
        ("rtseg/runtime/pipeline.py", "rtseg/runtime/statistics.py", "rtseg/runtime/turns.py"),
        ("tests/runtime",),
    ),
    "channel": Room(("rtseg/runtime/channel.py",), ("tests/runtime",)),
    "timestamps": Room(("rtseg/sources/timestamps.py",), ("tests/sources/test_timestamps.py",)),
    "faces": Room(("rtseg/faces",), ("tests/faces",)),
    "geometry": Room(("rtseg/geometry",), ("tests/geometry", "tests/postprocess/test_upsample.py")),
    "postprocess": Room(
        ("rtseg/postprocess",), ("tests/postprocess",), without=("rtseg/postprocess/smoothing.py",)
    ),
    "smoothing": Room(
        ("rtseg/postprocess/smoothing.py",),
        ("tests/postprocess/test_smoothing.py", "tests/postprocess/test_cuts.py"),
    ),
    "sinks": Room(
        (
            "rtseg/sinks/tee.py",
            "rtseg/sinks/image_sequence.py",
            "rtseg/sinks/partial_file.py",
            "rtseg/sinks/json_lines.py",
            "rtseg/sinks/labels",
            "rtseg/sinks/video.py",
            "rtseg/sinks/video_file.py",
        ),
        (
            "tests/sinks/test_tee.py",
            "tests/sinks/test_images.py",
            "tests/sinks/test_json_lines.py",
            "tests/sinks/test_labels.py",
            "tests/sinks/test_alpha.py",
            "tests/sinks/test_video.py",
            "tests/sinks/test_video_failures.py",
            "tests/sinks/test_video_streams.py",
        ),
    ),
}

LIBRARIES = ("pytest", "hypothesis", "numpy", "cv2", "av", "torch", "safetensors", "tests.conftest")
"""Loaded once, before the first fork."""

OUTPUT = "output.txt"
"""Where, in the copy, the output of the last tests is."""

_UNFINISHED = 75
"""Exit code: EX_TEMPFAIL of sysexits.h."""

JUSTIFIED = Path(__file__).with_name("mutants_justified.toml")


@dataclass(frozen=True)
class Justified:
    """A fault that no test can notice, identified by the line that it changes, and why."""

    module: str
    before: str
    after: str
    reason: str


def read_justified(path: Path = JUSTIFIED) -> list[Justified]:
    """Read the list of faults that no test can notice."""
    return [Justified(**entry) for entry in tomllib.loads(path.read_text("utf-8"))["fault"]]


def mutants_of(room: Room) -> list[Mutant]:
    """List the faults of a room's modules."""
    mutants = []
    for path in _files(room.modules, "*.py"):
        module = path.relative_to(ROOT).as_posix()
        if module not in room.without:
            mutants += find_mutants(path.read_text("utf-8"), module=module)
    return mutants


def room_tests(room: Room) -> list[str]:
    """List a room's test files."""
    return [path.relative_to(ROOT).as_posix() for path in _files(room.tests, "test_*.py")]


def _files(places: Sequence[str], pattern: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        yield from sorted(path.rglob(pattern)) if path.is_dir() else [path]


def copied(target: Path) -> Path:
    """Copy this checkout's code and tests."""
    for name in ("rtseg", "tests", "training", "engines", "examples", "setup.cfg", "README.md"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, target / name)
    return target


def run_tests(root: Path, tests: Sequence[str], *, usual: Run | None = None) -> Run:
    """Run test files in a fork of this process.

    Args:
        root: the copy of the checkout.
        tests: the files.
        usual: the same tests' run without a fault. They may take three times the processor's time
            of it, and ten times its seconds, since the machine may be busy with something else.
    """
    started = time.monotonic()
    most = int(3 * usual.processor_seconds + 5) if usual else 600
    child = os.fork()
    if child == 0:
        _run_and_exit(root, tests, processor_seconds=most)
    deadline = started + (10 * usual.seconds + 30 if usual else 600)
    ended = 0
    try:
        while not ended and time.monotonic() < deadline:
            ended, status, usage = os.wait4(child, os.WNOHANG)
            time.sleep(0.02)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it may have left processes of its own
            os.killpg(child, signal.SIGKILL)
    if not ended:
        _, status, usage = os.wait4(child, 0)
    outcome = "out of time" if os.WIFSIGNALED(status) else "failed" if status else "passed"
    return Run(outcome, time.monotonic() - started, usage.ru_utime + usage.ru_stime)


def _run_and_exit(root: Path, tests: Sequence[str], *, processor_seconds: int) -> None:
    """In the forked process: forget this checkout's modules, use the copy's."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds, processor_seconds + 5))
        os.chdir(root)
        output = os.open(root / OUTPUT, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for stream in range(3):
            os.dup2(output, stream)
        os.environ |= {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        sys.path[:] = [str(root), *(place for place in sys.path if place not in ("", str(ROOT)))]
        for name in list(sys.modules):
            if name.partition(".")[0] in ("rtseg", "tests", "training"):
                del sys.modules[name]
        import pytest

        options = ["-q", "-x", "-p", "no:cacheprovider", "--rootdir", str(root)]
        options += ["-W", "ignore:Module already imported"]  # hypothesis, by this process
        code = pytest.main([*options, "-m", "not slow and not gpu", *tests])
    except BaseException:  # noqa: BLE001  the parent reads it in the output
        traceback.print_exc()
    finally:
        os._exit(code)


def in_order(usual: Mapping[str, Run], module: str) -> list[str]:
    """Order test files: the one named after the module first, then the fastest."""
    stem = Path(module).stem
    return sorted(
        usual,
        key=lambda test: (Path(test).stem != f"test_{stem}", usual[test].processor_seconds),
    )


def try_room(
    room: Room, sample: Sequence[Mutant], root: Path, justified: Sequence[Justified], log: Log
) -> tuple[int, int, list[str]]:
    """Try a sample of a room's faults.

    Returns:
        How many were caught, how many are justified, and the survivors in words.

    Raises:
        Unfinished: the log's time is up.
    """
    usual = {}
    for test in room_tests(room):
        if test not in log.usual:
            log.usual[test] = run_tests(root, [test])
            log.save()
        usual[test] = log.usual[test]
        if usual[test].outcome != "passed":
            raise SystemExit(
                f"{test} fails without any fault:\n{(root / OUTPUT).read_text('utf-8')[-2000:]}"
            )
    caught, excused, survivors = 0, 0, []
    for mutant in sample:
        path = root / mutant.module
        source = path.read_text("utf-8")
        before, after = mutant.change(source)
        words = f"{mutant.module}:{mutant.line}: {before}  ->  {after}"
        if any((j.module, j.before, j.after) == (mutant.module, before, after) for j in justified):
            excused += 1
            print(f"justified {words}", flush=True)
            continue
        if words not in log.tried:
            path.write_text(mutant.code(source), "utf-8")
            try:
                log.tried[words] = noticed_by(in_order(usual, mutant.module), usual, root)
            finally:
                path.write_text(source, "utf-8")
            log.save()
        if (noticed := log.tried[words]) is None:
            survivors.append(words)
            print(f"SURVIVED {words}", flush=True)
        else:
            caught += 1
            print(f"caught, {noticed}: {words}", flush=True)
    return caught, excused, survivors


def noticed_by(tests: Sequence[str], usual: Mapping[str, Run], root: Path) -> str | None:
    """Run test files until one does not pass, and return its name and outcome."""
    for test in tests:
        run = run_tests(root, [test], usual=usual[test])
        if run.outcome != "passed":
            return f"{Path(test).name} {run.outcome}"
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the samples. The exit code is 1 if fewer than --least percent of a room were caught."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--room", nargs="+", choices=list(ROOMS), default=list(ROOMS))
    parser.add_argument("--count", type=int, default=20, help="faults to try in each room")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample")
    parser.add_argument("--only", default="", help="only modules whose path contains this")
    parser.add_argument(
        "--first", type=int, default=0, help="skip this many at the start of the sample"
    )
    parser.add_argument("--most", type=int, help="try at most this many faults per room")
    parser.add_argument("--list", action="store_true", help="show the faults, and run nothing")
    parser.add_argument(
        "--least", type=float, default=0.0, help="required percentage of faults caught in each room"
    )
    parser.add_argument(
        "--log", type=Path, help="keep what was found in this file, and go on from it"
    )
    parser.add_argument("--minutes", type=float, help="stop after this time, with exit code 75")
    options = parser.parse_args(arguments)
    # so that a run of tests never outlives this process
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    justified = read_justified()
    rows = ["| room | faults | tried | caught | justified | survived |", "| --- " * 6 + "|"]
    is_enough = True
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if not options.list:
        for library in LIBRARIES:
            importlib.import_module(library)
    with tempfile.TemporaryDirectory(prefix="rtseg-mutants-") as folder:
        root = ROOT if options.list else copied(Path(folder))
        log = Log.opened(None if options.list else options.log, root, minutes=options.minutes)
        for name in options.room:
            room = ROOMS[name]
            mutants = [mutant for mutant in mutants_of(room) if options.only in mutant.module]
            sample = choose(mutants, options.count, seed=options.seed)
            sample = sample[options.first :][: options.most]
            if options.list:
                for mutant in sample:
                    before, after = mutant.change((ROOT / mutant.module).read_text("utf-8"))
                    print(f"{mutant.module}:{mutant.line}\n    {before}\n    {after}")
                continue
            try:
                caught, excused, survivors = try_room(room, sample, root, justified, log)
            except Unfinished:
                print(f"{name}: the time is up; the same command goes on", flush=True)
                return _UNFINISHED
            counted = max(1, len(sample) - excused)
            is_enough &= 100 * caught / counted >= options.least
            rows.append(
                f"| {name} | {len(mutants)} | {len(sample)} | {caught} ({caught / counted:.0%}) | "
                f"{excused} | {len(survivors)} |"
            )
    if not options.list:
        print("\n".join(rows))
    return int(not is_enough)


if __name__ == "__main__":
    sys.exit(main())

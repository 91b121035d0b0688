"""Measure how many faults the tests catch: `make mutants` puts small faults into the code, one at a
time, and lists those that no test notices.

The faults are a seeded sample over the modules below: operators, comparisons, numbers and constants
are changed (by cosmic-ray's operators), and statements and factors are removed. Each fault is put
into a copy of this checkout, where the tests of its package run until the first one fails.

    python -m tests.mutants --count 60 --seed 1
    python -m tests.mutants --only timestamps --count 20
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import Visitor, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).resolve().parents[1]

ROOMS = {
    "rtseg/runtime/pipeline.py": "tests/runtime",
    "rtseg/runtime/channel.py": "tests/runtime",
    "rtseg/runtime/statistics.py": "tests/runtime",
    "rtseg/sources/timestamps.py": "tests/sources/test_timestamps.py tests/sources/test_video.py",
    "rtseg/faces": "tests/faces",
    "rtseg/geometry": "tests/geometry tests/postprocess tests/faces",
    "rtseg/postprocess": "tests/postprocess",
    "rtseg/sinks/tee.py": "tests/sinks/test_tee.py",
    "rtseg/sinks/image_sequence.py": "tests/sinks/test_images.py tests/sinks/test_labels.py",
    "rtseg/sinks/partial_file.py": "tests/sinks",
    "rtseg/sinks/json_lines.py": "tests/sinks/test_json_lines.py",
    "rtseg/sinks/labels": "tests/sinks/test_labels.py",
    "rtseg/sinks/video.py": "tests/sinks/test_video.py",
}
"""Modules and folders to change, and the tests that should notice."""

_CORE = (
    "ReplaceBinaryOperator_Add_Sub ReplaceBinaryOperator_Sub_Add ReplaceBinaryOperator_Mul_Div "
    "ReplaceBinaryOperator_Div_Mul ReplaceBinaryOperator_FloorDiv_Mul "
    "ReplaceBinaryOperator_Mod_FloorDiv ReplaceComparisonOperator_Eq_NotEq "
    "ReplaceComparisonOperator_NotEq_Eq ReplaceComparisonOperator_Lt_GtE "
    "ReplaceComparisonOperator_Lt_LtE ReplaceComparisonOperator_LtE_Gt "
    "ReplaceComparisonOperator_LtE_Lt ReplaceComparisonOperator_Gt_LtE "
    "ReplaceComparisonOperator_Gt_GtE ReplaceComparisonOperator_GtE_Lt "
    "ReplaceComparisonOperator_GtE_Gt ReplaceComparisonOperator_Is_IsNot "
    "ReplaceComparisonOperator_IsNot_Is ReplaceUnaryOperator_Delete_Not "
    "ReplaceUnaryOperator_Delete_USub ReplaceTrueWithFalse ReplaceFalseWithTrue "
    "ReplaceAndWithOr ReplaceOrWithAnd ReplaceBreakWithContinue ReplaceContinueWithBreak "
    "NumberReplacer ZeroIterationForLoop"
)


class RemoveAssignment(Operator):
    """Removes a statement such as `shift += step`."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the start and end of each such statement."""
        if node.type == "expr_stmt":
            sign = getattr(node.children[1], "value", "")
            if sign.endswith("=") and sign != "=":
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Replace the statement with `pass`."""
        return _replaced(node, "pass")

    @classmethod
    def examples(cls) -> Sequence[Any]:
        """None: its test is tests/test_mutants.py."""
        return ()


class RemoveFactor(Operator):
    """Turns `a * b` and `a / b` into `a`."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the position of each factor except the first."""
        if node.type == "term":
            for operator in node.children[1::2]:
                if operator.value in ("*", "/"):
                    yield operator.start_pos, operator.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Remove one factor from the term."""
        places = [
            place
            for place in range(1, len(node.children), 2)
            if node.children[place].value in ("*", "/")
        ]
        del node.children[places[index] : places[index] + 2]
        return node

    @classmethod
    def examples(cls) -> Sequence[Any]:
        """None: its test is tests/test_mutants.py."""
        return ()


def _replaced(node: Any, code: str) -> Any:
    leaf = get_ast(code).children[0]
    leaf.parent = node.parent
    first = leaf.get_first_leaf()
    first.prefix = node.get_first_leaf().prefix
    return leaf


OPERATORS: dict[str, Operator] = {
    **{name: get_operator(f"core/{name}")() for name in _CORE.split()},
    "RemoveAssignment": RemoveAssignment(),
    "RemoveFactor": RemoveFactor(),
}


@dataclass(frozen=True)
class Mutant:
    """One fault: the n-th place in a module where an operator applies."""

    module: str
    operator: str
    occurrence: int
    line: int
    tests: str

    def code(self, source: str) -> str:
        """Return the module's source with the fault in it."""
        mutated = mutate_code(source, OPERATORS[self.operator], self.occurrence)
        assert isinstance(mutated, str)
        return mutated


_NOT_ARITHMETIC = ("parameters", "param", "argument", "arglist", "star_expr")
"""Syntax in which `*` is no multiplication, by parso's names."""


class _Places(Visitor):  # type: ignore[misc]
    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.lines: list[int] = []

    def visit(self, node: Any) -> Any:
        """Record where the operator could change this node; line 0 for the stars of signatures and
        calls.

        cosmic-ray takes such a star for a multiplication, but changing it means nothing.
        """
        is_signature = node.parent is not None and node.parent.type in _NOT_ARITHMETIC
        self.lines += [
            0 if is_signature else start[0] for start, _ in self.operator.mutation_positions(node)
        ]
        return node


def find_mutants(source: str, *, module: str, tests: str) -> list[Mutant]:
    """List every fault that the operators could put into a module."""
    mutants = []
    for name, operator in OPERATORS.items():
        places = _Places(operator)
        places.walk(get_ast(source))
        mutants += [
            Mutant(module, name, occurrence, line, tests)
            for occurrence, line in enumerate(places.lines)
            if line
        ]
    return mutants


def all_mutants(only: str = "") -> list[Mutant]:
    """List the faults of every module in `ROOMS` whose path contains `only`."""
    mutants = []
    for place, tests in ROOMS.items():
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            module = file.relative_to(ROOT).as_posix()
            if only in module:
                mutants += find_mutants(file.read_text("utf-8"), module=module, tests=tests)
    return mutants


def choose(mutants: Sequence[Mutant], count: int, *, seed: int) -> list[Mutant]:
    """Draw a sample that takes operators in turn, since half of all places are numbers."""
    turns = random.Random(seed)
    by_operator: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        by_operator.setdefault(mutant.operator, []).append(mutant)
    chosen: list[Mutant] = []
    while by_operator and len(chosen) < count:
        for name in turns.sample(sorted(by_operator), len(by_operator)):
            chosen.append(by_operator[name].pop(turns.randrange(len(by_operator[name]))))
            if not by_operator[name]:
                del by_operator[name]
    return sorted(chosen[:count], key=lambda mutant: (mutant.module, mutant.line))


def copied(target: Path) -> Path:
    """Copy this checkout's code and tests."""
    for name in ("rtseg", "tests", "training", "engines", "examples", "setup.cfg", "README.md"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, target / name)
    return target


def run_tests(root: Path, tests: str, *, timeout: float) -> str:
    """Run some tests; returns `passed`, `failed` or `timeout`."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += ["-m", "not slow and not gpu", *(t for t in tests.split() if (root / t).exists())]
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "timeout"
    return "passed" if done.returncode == 0 else "failed"


def main() -> int:
    """Run a sample. The exit code is 1 if fewer than --least percent were caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="number of faults to try")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample")
    parser.add_argument("--only", default="", help="only modules whose path contains this")
    parser.add_argument(
        "--least", type=float, default=0.0, help="required percentage of faults caught"
    )
    options = parser.parse_args()
    mutants = all_mutants(options.only)
    sample = choose(mutants, options.count, seed=options.seed)
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory(prefix="rtseg-mutants-") as folder:
        root = copied(Path(folder))
        seconds: dict[str, float] = {}
        for tests in sorted({mutant.tests for mutant in sample}):
            started = time.monotonic()
            if run_tests(root, tests, timeout=1200) != "passed":
                print(f"skipped, these tests fail without any fault: {tests}", flush=True)
                sample = [mutant for mutant in sample if mutant.tests != tests]
                continue
            seconds[tests] = time.monotonic() - started
        if not sample:
            return 2
        for number, mutant in enumerate(sample, 1):
            path = root / mutant.module
            source = path.read_text("utf-8")
            path.write_text(mutant.code(source), "utf-8")
            try:
                outcome = run_tests(root, mutant.tests, timeout=3 * seconds[mutant.tests] + 30)
            finally:
                path.write_text(source, "utf-8")
            if outcome == "passed":
                survivors.append(mutant)
            print(
                f"{number}/{len(sample)} {'SURVIVED' if outcome == 'passed' else 'caught'} "
                f"{mutant.module}:{mutant.line} {mutant.operator} #{mutant.occurrence}",
                flush=True,
            )
    caught = 100 * (1 - len(survivors) / len(sample))
    print(f"{caught:.0f}% of {len(sample)} of {len(mutants)} faults caught, seed {options.seed}")
    return int(caught < options.least)


if __name__ == "__main__":
    sys.exit(main())

"""Small faults to put into code: which there are in a module, and a fair sample of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from cosmic_ray.ast import Visitor, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

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

    def code(self, source: str) -> str:
        """Return the module's source with the fault in it."""
        mutated = mutate_code(source, OPERATORS[self.operator], self.occurrence)
        assert isinstance(mutated, str)
        return mutated

    def change(self, source: str) -> tuple[str, str]:
        """Return the changed line, or lines, before and after, without indentation."""
        lines = unified_diff(source.splitlines(), self.code(source).splitlines(), n=0, lineterm="")
        changed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
        before, after = (
            " ".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+"
        )
        return before, after


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


def find_mutants(source: str, *, module: str) -> list[Mutant]:
    """List every fault that the operators could put into a module."""
    mutants = []
    tree = get_ast(source)  # which listing the places leaves as it is
    for name, operator in OPERATORS.items():
        places = _Places(operator)
        places.walk(tree)
        mutants += [
            Mutant(module, name, occurrence, line)
            for occurrence, line in enumerate(places.lines)
            if line
        ]
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

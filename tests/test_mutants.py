"""The faults that `make mutants` puts into the code."""

import pytest

pytest.importorskip("cosmic_ray")

from tests.mutants import ROOMS, ROOT, all_mutants, choose, find_mutants

SOURCE = """
def moved(shift, step, weight):
    shift += 2 * step / weight
    if shift < 3 and not step:
        return None
    return shift
"""


def made(operator):
    return [
        mutant.code(SOURCE).strip().splitlines()[1:4]
        for mutant in find_mutants(SOURCE, module="m", tests="")
        if mutant.operator == operator
    ]


def test_a_statement_and_a_factor_are_removed():
    assert [lines[0] for lines in made("RemoveAssignment")] == ["    pass"]
    assert [lines[0] for lines in made("RemoveFactor")] == [
        "    shift += 2 / weight",
        "    shift += 2 * step",
    ]
    assert made("ReplaceAndWithOr")[0][1] == "    if shift < 3 or not step:"


def test_every_fault_changes_the_program():
    mutants = find_mutants(SOURCE, module="m", tests="")
    codes = {mutant.code(SOURCE) for mutant in mutants}
    assert len(codes) == len(mutants)
    assert SOURCE not in codes
    for code in codes:
        compile(code, "m", "exec")


def test_a_star_in_a_signature_is_left_alone():
    source = "def moved(shift, *, step):\n    return moved(*shift, step=step * 2)\n"
    mutants = find_mutants(source, module="m", tests="")
    (times,) = [m for m in mutants if m.operator == "ReplaceBinaryOperator_Mul_Div"]
    assert "step=step / 2" in times.code(source)


def test_the_sample_is_reproducible_and_mixes_operators():
    mutants = find_mutants(SOURCE, module="m", tests="")
    first = choose(mutants, 6, seed=1)
    assert first == choose(mutants, 6, seed=1)
    assert len({mutant.operator for mutant in first}) == 6
    assert len(choose(mutants, 10_000, seed=2)) == len(mutants)


@pytest.mark.parametrize("place", sorted(ROOMS))
def test_the_packages_and_their_tests_exist(place):
    assert (ROOT / place).exists()
    assert any((ROOT / tests).exists() for tests in ROOMS[place].split())


def test_every_module_has_places_for_faults():
    assert len(all_mutants("timestamps")) > 10

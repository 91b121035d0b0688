"""The faults that `make mutants` puts into the code."""

import pytest

pytest.importorskip("cosmic_ray")

from tests.mutants import (
    ROOMS,
    ROOT,
    in_order,
    main,
    mutants_of,
    read_justified,
    room_tests,
    run_tests,
)
from tests.support.fault_log import Log, Run, Unfinished
from tests.support.faults import choose, find_mutants

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
        for mutant in find_mutants(SOURCE, module="m")
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
    mutants = find_mutants(SOURCE, module="m")
    codes = {mutant.code(SOURCE) for mutant in mutants}
    assert len(codes) == len(mutants)
    assert SOURCE not in codes
    for code in codes:
        compile(code, "m", "exec")


def test_a_star_in_a_signature_is_left_alone():
    source = "def moved(shift, *, step):\n    return moved(*shift, step=step * 2)\n"
    mutants = find_mutants(source, module="m")
    (times,) = [m for m in mutants if m.operator == "ReplaceBinaryOperator_Mul_Div"]
    assert "step=step / 2" in times.code(source)


def test_the_sample_is_reproducible_and_mixes_operators():
    mutants = find_mutants(SOURCE, module="m")
    first = choose(mutants, 6, seed=1)
    assert first == choose(mutants, 6, seed=1)
    assert len({mutant.operator for mutant in first}) == 6
    assert len(choose(mutants, 10_000, seed=2)) == len(mutants)


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_every_room_has_places_for_faults_and_tests(name):
    assert len(mutants_of(ROOMS[name])) > 10
    assert room_tests(ROOMS[name])
    assert all((ROOT / test).is_file() for test in room_tests(ROOMS[name]))


def test_the_file_named_after_the_module_runs_first_then_the_fastest():
    usual = {
        f"tests/test_{name}.py": Run("passed", 1.0, seconds)
        for name, seconds in (("slow", 9.0), ("quick", 0.1), ("other", 3.0))
    }
    assert in_order(usual, "rtseg/slow.py") == [
        "tests/test_slow.py",
        "tests/test_quick.py",
        "tests/test_other.py",
    ]


@pytest.mark.parametrize(
    ("body", "processor_seconds", "outcome"),
    [
        # a process that has run many tests takes long to fork and to end
        ("assert thing() == 3", 5.0, "passed"),
        ("assert thing() == 4", 5.0, "failed"),
        ("spin()", -1.0, "out of time"),
    ],
)
def test_tests_run_in_a_fork_against_the_copy(tmp_path, body, processor_seconds, outcome):
    (tmp_path / "rtseg").mkdir()
    (tmp_path / "rtseg/__init__.py").write_text(
        "def thing():\n    return 3\ndef spin():\n    while True: pass\n"
    )
    (tmp_path / "test_it.py").write_text(
        f"from rtseg import thing, spin\ndef test_it():\n    {body}\n"
    )
    run = run_tests(tmp_path, ["test_it.py"], usual=Run("passed", 1.0, processor_seconds))
    assert run.outcome == outcome


def test_a_justified_fault_is_one_that_can_be_made():
    """An entry whose line has changed since would excuse nothing, and hide that nobody looked."""
    faults = read_justified()
    for module in {fault.module for fault in faults}:
        source = (ROOT / module).read_text("utf-8")
        lines = source.splitlines()
        # each change costs a parse of the module; most entries are thresholds that are met exactly
        mutants = sorted(
            find_mutants(source, module=module),
            key=lambda mutant: not mutant.operator.endswith(("_LtE", "_Lt", "_GtE", "_Gt")),
        )
        for fault in faults:
            if fault.module == module:
                assert fault.reason
                assert any(
                    mutant.change(source) == (fault.before, fault.after)
                    for mutant in mutants
                    if lines[mutant.line - 1].strip() == fault.before
                ), fault


def test_listing_shows_the_lines_and_runs_nothing(capsys):
    assert main(["--room", "timestamps", "--count", "3", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    for place, before, after in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        assert place.startswith("rtseg/sources/timestamps.py:")
        assert before != after


def test_a_log_goes_on_where_it_was_stopped_and_forgets_other_checkouts(tmp_path):
    (tmp_path / "code").mkdir()
    module, path = tmp_path / "code" / "module.py", tmp_path / "log.json"
    module.write_text("a = 1\n")
    log = Log.opened(path, module.parent, minutes=0)
    log.usual["tests/test_it.py"] = Run("passed", 1.0, 0.5)
    log.tried["a = 1  ->  a = 2"] = None
    with pytest.raises(Unfinished):
        log.save()
    again = Log.opened(path, module.parent, minutes=None)
    assert (again.usual, again.tried) == (log.usual, log.tried)
    again.save()
    module.write_text("a = 3\n")
    assert not Log.opened(path, module.parent, minutes=None).tried

"""Faults that are planted into the packages: what they are, and that the command counts them."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from parity_tests.mutants.equivalent import REASONS, reason
from parity_tests.mutants.mutant import ROOT, Mutant, mutants, original, paths
from parity_tests.mutants.table import table
from parity_tests.mutants.trial import CHECKER, OWN, QUICK, SPLIT, Outcome, controls

CHEAP, CHEAPEST = "focal_torch/_core/interpolated_pt.py", "focal_torch/_core/chunk_sizes.py"
SOFTMAX = "focal_torch/_core/softmax.py"
ALL = [mutant for path in paths() for mutant in mutants(path)]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "parity_tests.mutants", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=1500)


def test_there_are_some_in_every_module_that_computes() -> None:
    assert {mutant.path for mutant in ALL} == set(paths())
    assert len({mutant.identity for mutant in ALL}) == len(ALL)


@pytest.mark.parametrize("mutant", ALL[::100], ids=lambda mutant: mutant.name)
def test_a_mutant_is_another_program(mutant: Mutant) -> None:
    program = ast.dump(ast.parse(mutant.source()))
    assert program != ast.dump(ast.parse(original(mutant.path)))
    assert mutant.lines()


def test_reasons_are_of_mutants() -> None:
    reasons = {reason(mutant) for mutant in ALL}
    assert reasons == {"", *REASONS.values()}


def test_the_table_counts() -> None:
    three = list(mutants(CHEAP))[:3]
    outcomes = {
        three[0].identity: Outcome(QUICK, "a test"),
        three[1].identity: Outcome(CHECKER, "a layer"),
        three[2].identity: Outcome("", ""),
    }
    last = table(three, outcomes).splitlines()[-1]
    assert last == "| all | 3 | 1 | 0 | 0 | 1 | 0 | 1 | 66.7 % |"


def recorded(out: Path, chosen: list[Mutant], outcome: Outcome) -> None:
    lines = [json.dumps([mutant.identity, *outcome]) for mutant in chosen]
    with out.open("a") as file:
        file.write("\n".join(lines) + "\n")


@pytest.mark.parametrize(("killer", "code"), [(QUICK, 0), ("", 1)])
def test_the_exit_code_says_whether_all_were_noticed(
    tmp_path: Path, killer: str, code: int
) -> None:
    out = tmp_path / "mutants.jsonl"
    chosen = list(mutants(CHEAP))
    recorded(out, controls(chosen), Outcome("", ""))
    recorded(out, chosen, Outcome(killer, ""))
    result = run("--only", CHEAP, "--out", str(out))
    assert result.returncode == code, result.stderr
    assert ("survived: " in result.stdout) == bool(code)


def test_nothing_is_said_where_the_packages_fail_as_they_are(tmp_path: Path) -> None:
    out = tmp_path / "mutants.jsonl"
    chosen = list(mutants(CHEAP))
    recorded(out, [*controls(chosen), *chosen], Outcome(QUICK, "a test"))
    result = run("--only", CHEAP, "--out", str(out))
    assert result.returncode == 2
    assert "a test" in result.stdout


def test_a_fault_is_noticed_and_the_module_as_it_is_is_not(tmp_path: Path) -> None:
    chosen = list(mutants(CHEAPEST))
    out = tmp_path / "mutants.jsonl"
    result = run("--only", CHEAPEST, "--every", str(len(chosen)), "--out", str(out))
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    outcomes = {identity: killer for identity, killer, _ in lines}
    expected = {control.identity: "" for control in controls(chosen)}
    assert outcomes == expected | {chosen[0].identity: OWN}


# The mutant is shown to the tests in question alone, by leaving the others out of the tables of
# `trial`; the command would show it to all of them.
TRIAL = """
import sys
from parity_tests.mutants import trial
from parity_tests.mutants.mutant import mutants
path, lines, *left_out = sys.argv[1:]
for name in left_out:
    getattr(trial, name).pop(path.rpartition("/")[2])
trial.prepare()
fault = next(mutant for mutant in mutants(path) if lines in mutant.lines())
print(trial.outcome(fault).killer or "nothing")
"""


@pytest.mark.parametrize(
    ("path", "lines", "left_out", "killer"),
    [
        # The first mutant of the file.
        (CHEAP, "", (), QUICK),
        # In processes of their own, which have to import the same mutant.
        (SOFTMAX, "top_id, - 0)", ("OWN_TESTS", "CHECKED"), SPLIT),
    ],
    ids=["quick tier", "ranks"],
)
def test_a_fault_is_noticed_by(
    path: str, lines: str, left_out: tuple[str, ...], killer: str
) -> None:
    """That nothing is noticed in the module as it is, the tests themselves say."""
    command = [sys.executable, "-c", TRIAL, path, lines, *left_out]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=1500)
    assert result.stdout.split("\n") == [killer, ""], result.stderr

"""The losses compiled for GPUs and TPUs that are not there: what they may move through memory.

One process per platform, each of which compiles a few dozen programs: see
`benchmarks/aot/command.py`.
"""

from collections.abc import Iterable
from dataclasses import fields, replace
from itertools import product
from typing import Any

import pytest

from benchmarks.aot import cases, devices, process
from benchmarks.aot import command as aot
from benchmarks.aot.cases import OURS, Case
from benchmarks.aot.devices import DEVICES
from benchmarks.aot.process import CompilerError
from benchmarks.aot.verdict import Measurement, failures
from parity_tests.pages import make_readme
from parity_tests.tests import ROOT, markdown

SOFTMAX = Case("softmax", targets="int32", classes=1000)
GOOD = Measurement("H100", Case(), moved=3, ideal=3, logits=1000)
BAD = replace(GOOD, moved=6)
PEER = replace(BAD, case=Case(by="optax"))


# Its compiler takes several times as long as the others: `make accelerators` runs it.
LONG = "v4"


@pytest.mark.parametrize("platform", DEVICES)
def test_programs_meet_their_requirements(platform: str) -> None:
    names = [name for name in DEVICES[platform] if name != LONG]
    measured = aot.compiled({platform: names}, quick=True)
    ours = broken_requirements(measured, OURS)
    assert not ours, "\n".join([f"{len(ours)} requirements are not met", *ours])
    assert broken_requirements(measured, "textbook"), "the textbook formula meets them too"


def broken_requirements(measured: Iterable[Measurement], by: str) -> list[str]:
    return [line for one in measured if one.case.by == by for line in failures(one)]


# For each bound, or what it is the larger of, a case that it holds for, and what such a program
# moves at least.
@pytest.mark.parametrize(
    ("bounds", "case", "least"),
    [
        ("FORWARD", Case(run="forward"), 1.0),
        ("GRADIENT", Case(), 1.0),
        ("DIVISOR", Case(reduction="mean_positive"), 4 / 3),
        ("SOFTMAX TWO_READS", SOFTMAX, 1.5),
    ],
)
def test_half_a_bound_is_not_met(
    bounds: str, case: Case, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    gb = 10**9
    program = Measurement("H100", case, moved=round(3 * least * gb), ideal=3 * gb, logits=gb)
    assert list(failures(program)) == []
    for bound in bounds.split():
        monkeypatch.setattr(cases, bound, getattr(cases, bound) / 2)
    assert "of the ideal bytes, allowed" in "".join(failures(program))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("temporaries are 0.020 of the logits, allowed 0.010", {"temporaries": 20}),
        ("stores float32 for its float32 logits in fusion.1", {"wide": ["fusion.1"]}),
        ("takes over 0.00 of donated logits", {"case": Case(run="donated")}),
        ("does not compile: out of memory", {"error": "out of memory"}),
    ],
)
def test_every_other_requirement_can_fail(line: str, fault: dict[str, Any]) -> None:
    assert line in "".join(failures(replace(GOOD, **fault)))


@pytest.mark.parametrize("platform", DEVICES)
def test_a_quick_run_has_every_option_and_every_device(platform: str) -> None:
    names = DEVICES[platform]
    gradients: set[tuple[str, str, str]] = set()
    chosen: list[Case] = []
    for name, case in cases.selection(names, True):
        if case.by == OURS:
            chosen.append(case)
            if case.run == "value_and_grad":
                gradients.add((name, case.loss, case.dtype))
    dtypes = ("float32", "bfloat16")
    assert gradients >= set(product(names, ("sigmoid", "softmax"), dtypes))
    # Of the others every loss, and every device.
    assert {(loss, dtype) for _, loss, dtype in gradients} >= set(product(cases.FAMILY, dtypes))
    ours = [case for case in cases.cases() if case.by == OURS]
    for field in fields(Case):
        assert values(chosen, field.name) == values(ours, field.name)


def values(chosen: Iterable[Case], field: str) -> set[Any]:
    return {getattr(case, field) for case in chosen}


@pytest.mark.parametrize("platform", DEVICES)
def test_a_missing_compiler_names_the_extra(
    platform: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(devices.COMPILERS, platform, "no_such_package.compiler")
    assert aot.main(["--platform", platform]) == 2
    assert "pip install '.[aot]'" in capsys.readouterr().err


def test_a_process_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "START", 0.01)
    monkeypatch.setattr(process, "PROGRAM", 0)
    with pytest.raises(CompilerError, match="GPU process ended after 0 programs with exit code -9"):
        aot.compiled({"gpu": ["H100"]}, quick=True)


def test_the_page_has_every_program_and_every_bound() -> None:
    page = (ROOT / "docs" / "accelerators.md").read_text()
    rows = markdown.rows(make_readme.tables(page)["benchmarks.aot --markdown"])
    headers = [row for row in rows if row[0] == "program"]
    bounds = {(row[0], row[1]) for row in rows if row not in headers}
    assert bounds == {(case.name, written_bound(case)) for case in cases.cases()}
    every_device = [name for names in DEVICES.values() for name in names]
    for header in headers:
        assert header[2 : 2 + len(every_device)] == every_device


def written_bound(case: Case) -> str:
    if case.by != OURS:
        return ""
    return f"{cases.traffic(case):.2f}"


@pytest.mark.parametrize("form", [[], ["--json"], ["--markdown"]], ids=" ".join)
@pytest.mark.parametrize(
    ("measured", "code"),
    [([GOOD], 0), ([GOOD, BAD], 1), ([PEER], 0)],
    ids=["good", "bad", "a bad peer"],
)
def test_the_command_judges_ours_alone(
    form: list[str],
    measured: list[Measurement],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(aot, "compiled", lambda devices, quick: measured)
    assert aot.main(["--device", "H100", *form]) == code
    out, err = capsys.readouterr()
    assert "H100" in out
    assert ("moves 2.000 of the ideal bytes, allowed 1.100" in err) == bool(code)

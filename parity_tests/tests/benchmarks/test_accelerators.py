"""The losses compiled for GPUs and TPUs that are not there: what they may move through memory.

One process per platform, each of which compiles a few dozen programs: see
`benchmarks/aot/command.py`.
"""

from dataclasses import fields, replace

import pytest

from benchmarks.aot import cases, devices, process
from benchmarks.aot import command as aot
from benchmarks.aot.cases import OURS, Case
from benchmarks.aot.devices import DEVICES
from benchmarks.aot.process import CompilerError
from benchmarks.aot.verdict import Measurement, failures
from parity_tests.pages import make_readme
from parity_tests.tests import ROOT

SOFTMAX = Case("softmax", targets="int32", classes=1000)
# For each bound, or what it is the larger of, a case that it holds for, and what such a program
# moves at least.
BOUNDS = {
    "FORWARD": (Case(run="forward"), 1.0),
    "GRADIENT": (Case(), 1.0),
    "DIVISOR": (Case(reduction="mean_positive"), 4 / 3),
    "SOFTMAX TWO_READS": (SOFTMAX, 1.5),
}


@pytest.mark.parametrize("platform", DEVICES)
def test_programs_meet_their_requirements(platform: str) -> None:
    found = aot.compiled({platform: DEVICES[platform]}, quick=True)
    textbook = [one for one in found if one.case.by == "textbook"]
    assert any(list(failures(one)) for one in textbook), "the textbook formula meets them too"
    broken = [line for one in found if one.case.by == OURS for line in failures(one)]
    assert not broken, "\n".join([f"{len(broken)} requirements are not met", *broken])


@pytest.mark.parametrize("bound", BOUNDS)
def test_half_a_bound_is_not_met(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, least = BOUNDS[bound]
    found = Measurement("H100", case, moved=round(3e9 * least), ideal=3 * 10**9, logits=10**9)
    assert list(failures(found)) == []
    for name in bound.split():
        monkeypatch.setattr(cases, name, getattr(cases, name) / 2)
    assert "of the ideal bytes, allowed" in "".join(failures(found))


def test_every_other_requirement_can_fail() -> None:
    good = Measurement("H100", Case(), moved=3, ideal=3, logits=1000)
    wrong = {
        "temporaries are 0.020 of the logits, allowed 0.010": {"temporaries": 20},
        "stores float32 for its float32 logits in fusion.1": {"wide": ["fusion.1"]},
        "takes over 0.00 of donated logits": {"case": Case(run="donated")},
        "does not compile: out of memory": {"error": "out of memory"},
    }
    for line, fault in wrong.items():
        assert line in "".join(failures(replace(good, **fault)))


@pytest.mark.parametrize("platform", DEVICES)
def test_a_quick_run_has_every_option_and_every_device(platform: str) -> None:
    chosen = [
        (name, case) for name, case in cases.selection(DEVICES[platform], True) if case.by == OURS
    ]
    assert {
        (name, case.loss, case.dtype) for name, case in chosen if case.run == "value_and_grad"
    } == {
        (name, loss, dtype)
        for name in DEVICES[platform]
        for loss in ("sigmoid", "softmax")
        for dtype in ("float32", "bfloat16")
    }
    for field in fields(Case):
        all_values = {getattr(case, field.name) for case in cases.cases() if case.by == OURS}
        assert {getattr(case, field.name) for _, case in chosen} == all_values


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
    lines = make_readme.tables(page)["benchmarks.aot --markdown"].splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| -")]
    found = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in rows]
    devices = [name for names in DEVICES.values() for name in names]
    assert {(row[0], row[1]) for row in found if row[0] != "program"} == {
        (case.name, f"{cases.traffic(case):.2f}" if case.by == OURS else "")
        for case in cases.cases()
    }
    assert all(list(row[2 : 2 + len(devices)]) == devices for row in found if row[0] == "program")


@pytest.mark.parametrize("form", [(), ("--json",), ("--markdown",)])
def test_the_command_judges_ours_alone(
    form: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = (Measurement("H100", Case(), moved=moved, ideal=3, logits=1) for moved in (3, 6))
    for found, code in (([good], 0), ([good, bad], 1), ([replace(bad, case=Case(by="optax"))], 0)):
        monkeypatch.setattr(aot, "compiled", lambda devices, quick, found=found: found)
        assert aot.main(["--device", "H100", *form]) == code
        out, err = capsys.readouterr()
        assert "H100" in out
        assert ("moves 2.000 of the ideal bytes, allowed 1.100" in err) == bool(code)

"""The benchmark command: all contenders do the same work, verdicts follow from times, and what
needs no clock fits.

No test is about a time.
"""

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import bandwidth, machine, small_calls, timing
from benchmarks.cases import (
    BACKWARD,
    BFLOAT16,
    CASES,
    FIRST_CALL,
    FLOAT32,
    FORWARD,
    QUICK,
    Case,
    Group,
    groups,
)
from benchmarks.peers import COMPILED, CONTENDERS, FLOOR, LIMIT, OURS, PEER
from benchmarks.requirements import NEEDED, REQUIREMENTS, Requirement, judge
from benchmarks.scaling import command as scaling
from benchmarks.scaling.series import MEMORY, SERIES, SIZE, TEMPORARY, TIME, Series
from benchmarks.work import Work, takes_part

_, DETECTOR, LANGUAGE_MODEL = QUICK
EPS = {FLOAT32: 2.0**-23, BFLOAT16: 2.0**-7}
pytestmark = pytest.mark.usefixtures("one_thread")


def array(x: Any) -> np.ndarray:
    if isinstance(x, torch.Tensor):
        return x.detach().double().numpy()
    return np.asarray(x).astype(np.float64)


@pytest.mark.parametrize("roles", [(OURS, PEER), (FLOOR,)], ids=["focal", "cross entropy"])
@pytest.mark.parametrize("case", [DETECTOR, LANGUAGE_MODEL], ids=lambda case: case.loss)
@pytest.mark.parametrize("dtype", EPS)
def test_contenders_do_the_same_work(case: Case, roles: Sequence[str], dtype: str) -> None:
    """The same loss and gradient to a few roundings, for logits that are far from the tails where
    peers are wrong."""
    chosen = [contender for contender in CONTENDERS[case.loss] if contender.role in roles]
    if dtype != FLOAT32:
        chosen = [contender for contender in chosen if contender.way != COMPILED]
    first, *others = timing.works(Group(case, BACKWARD, dtype), chosen, timing.CPU)
    assert others
    expected_loss, expected_grad = map(array, first.call())
    largest = abs(expected_grad).max()
    for work in others:
        loss, grad = map(array, work.call())
        assert abs(loss - expected_loss) <= 4 * EPS[dtype] * expected_loss, work.label
        assert abs(grad - expected_grad).max() <= 8 * EPS[dtype] * largest, work.label


@pytest.mark.parametrize("case", [DETECTOR, LANGUAGE_MODEL], ids=lambda case: case.loss)
def test_the_limits_move_what_they_say(case: Case) -> None:
    group = Group(case, FORWARD, FLOAT32)
    limits = [contender for contender in CONTENDERS[case.loss] if contender.role == LIMIT]
    for work in timing.works(group, limits, timing.CPU):
        assert array(work.call()).shape == case.shape
    for contender in limits:
        arrays = 2 if bandwidth.is_copy(contender) else 3
        assert bandwidth.ideal_bytes(contender, group) == 4 * arrays * case.elements


def test_a_quick_run_writes_table_files_and_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--quick", "--requirements", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for requirement in REQUIREMENTS:
        assert requirement.numerator in out
    assert f"torch {torch.__version__}" in out
    assert f"{torch.get_num_threads()} in PyTorch" in out
    medians = pd.read_csv(tmp_path / "benchmarks_medians.csv")
    assert (medians["median"].to_numpy() > 0).all()
    keys = medians[["case", "mode", "dtype", "contender"]]
    assert set(keys.itertuples(index=False, name=None)) == NEEDED
    assert len(pd.read_csv(tmp_path / "benchmarks_rounds.csv")) >= len(medians)
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_do_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "no such contender"]) == 2
    assert "fits these options" in capsys.readouterr().err


def test_every_case_is_timed_in_every_mode() -> None:
    """The largest only in float32 with its gradient."""
    plan = command.plan(False, re.compile(""), False)
    timed = {(group.case.name, group.mode, group.dtype) for group, _ in plan}
    assert len(timed) == 2 + 4 * (len(CASES) - 1) + 1
    elements = [case.elements for case in CASES]
    for k in range(3, 9):
        assert 10**k in elements


def seconds(requirement: Requirement, ratios: Sequence[float]) -> pd.DataFrame:
    """Rounds in which the first of two contenders takes so many times what the second one takes."""
    rows: list[tuple[int, str, float]] = []
    for i, ratio in enumerate(ratios, start=1):
        below = 0.001 * i
        rows.append((i, requirement.numerator, ratio * below))
        rows.append((i, requirement.denominator, below))
    frame = pd.DataFrame(rows, columns=pd.Index(["round", "contender", "seconds"]))
    return frame.assign(case=requirement.case.name, mode=requirement.mode, dtype=FLOAT32)


@pytest.mark.parametrize(
    "requirement", REQUIREMENTS, ids=lambda r: f"{r.case.name}, {r.mode}: {r.numerator}"
)
def test_requirements_are_about_what_is_timed(requirement: Requirement) -> None:
    case, mode = requirement.case, requirement.mode
    modes = [group.mode for group in groups() if group.case == case and group.dtype == FLOAT32]
    assert modes.count(mode) == 1
    labels = {contender.label for contender in CONTENDERS[case.loss] if takes_part(contender, mode)}
    assert {requirement.numerator, requirement.denominator} <= labels


def test_ratios_are_formed_within_a_round() -> None:
    """Although the rounds here become slower and slower."""
    [verdict] = judge(seconds(REQUIREMENTS[0], [0.2, 0.3, 0.24, 0.22, 0.26]))
    assert (verdict.low, verdict.ratio, verdict.high) == pytest.approx((0.22, 0.24, 0.26))
    assert verdict.met


@pytest.mark.parametrize("options", [[], ["--markdown"], ["--quick"]], ids=str)
@pytest.mark.parametrize("times_the_bound", [0.99, 1.01])
def test_a_broken_bound_is_the_exit_code(
    options: list[str], times_the_bound: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    required = next(requirement for requirement in REQUIREMENTS if requirement.required)
    measured = seconds(required, [times_the_bound * required.bound] * 3)
    monkeypatch.setattr(command, "run", lambda *_: measured)
    code = command.main(["--out", str(tmp_path), *options])
    assert code == (times_the_bound > 1 and not options)


def test_contenders_take_turns() -> None:
    calls: list[str] = []

    def one_second(work: Work, _: int) -> float:
        calls.append(work.label)
        return 1.0

    works = [Work(label, lambda: None, clock=one_second) for label in "abc"]
    times = timing.paired(works, budget=0, least=4)
    assert times.shape == (4, 3)
    # The first three calls decide how often a turn repeats its own.
    turns = [tuple(calls[i : i + 3]) for i in range(3, len(calls), 3)]
    assert len(turns) == 4
    assert {"".join(sorted(turn)) for turn in turns} == {"abc"}
    assert len(set(turns)) > 1


SMALL = Group(LANGUAGE_MODEL, FORWARD, FLOAT32)


def run_beside(fails: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The times of a contender that fails and of one that does not."""
    works = [Work("too large", fails), Work("small", lambda: None)]
    monkeypatch.setattr(timing, "works", lambda *_: works)
    chosen = CONTENDERS[SMALL.case.loss][:1]
    return timing.run([(SMALL, chosen)], lambda _: 0.0, 1)


def test_what_does_not_fit_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def out_of_memory() -> None:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    assert set(run_beside(out_of_memory, monkeypatch)["contender"]) == {"small"}
    assert "too large is left out" in capsys.readouterr().err


def test_another_error_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run_beside(bug, monkeypatch)


def slopes() -> Iterator[Any]:
    """All but the one that is known to be missed."""
    missed = pytest.mark.xfail(reason="XLA's CPU backend writes all losses out before it sums them")
    for series in SERIES:
        for cost in series.expected:
            if cost == TIME:
                continue
            name = f"{series.name}, {series.against}: {cost}"
            marks = missed if (series.name, cost) == ("sigmoid, sum", TEMPORARY) else ()
            yield pytest.param(series, cost, id=name, marks=marks)


FitKey = tuple[str, str, str]


@pytest.fixture(scope="module")
def every_fit() -> dict[FitKey, scaling.Fit]:
    by_key: dict[FitKey, scaling.Fit] = {}
    for series in SERIES:
        for fit in scaling.fits(series, scaling.compiled(series)):
            by_key[series.name, series.against, fit.cost] = fit
    return by_key


@pytest.mark.parametrize(("series", "cost"), list(slopes()))
def test_memory_and_compiled_size_are_straight_lines(
    series: Series, cost: str, every_fit: dict[FitKey, scaling.Fit]
) -> None:
    fit = every_fit[series.name, series.against, cost]
    assert fit.fits, (fit.slope, fit.points)


def test_a_fit_can_fail() -> None:
    series = SERIES[0]
    assert scaling.Fit(series, MEMORY, [3.0 * n for n in series.work]).fits
    assert not scaling.Fit(series, MEMORY, [n * np.log(n) ** 3 for n in series.work]).fits
    assert not scaling.Fit(series, SIZE, [3.0 * n**0.2 for n in series.work]).fits


def test_scaling_prints_every_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "SERIES", SERIES[3:4])
    scaling.main(["--quick", "--markdown"])
    out = capsys.readouterr().out
    assert out.count("values of γ") == len(SERIES[3].expected)


def test_pairs_of_small_calls_do_the_same_work() -> None:
    for pair in small_calls.small_pairs():
        if pair.mode != FIRST_CALL:
            ours, peer = (jax.tree.leaves(work.call()) for work in pair.works)
            for x, y in zip(ours, peer, strict=True):
                # A few units of 1 − p, which the formulas of the peers take from 1.
                np.testing.assert_allclose(array(x), array(y), rtol=1e-4, atol=1e-6)


def test_small_calls_are_measured_alone_and_beside_processes_that_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def begin(command: Sequence[str]) -> subprocess.Popen[bytes]:
        begun.append(subprocess.Popen(command))
        return begun[-1]

    first = next(small_calls.small_pairs())
    monkeypatch.setattr(small_calls, "small_pairs", lambda: [first])
    monkeypatch.setattr(small_calls, "start", begin)
    small_calls.main(["--quick", "--markdown"])
    out = capsys.readouterr().out
    assert out.count("| focal_torch sigmoid | forward |") == 2
    assert out.count("| 20,000 |") == 2
    assert len(begun) == machine.cores()
    assert all(process.poll() is not None for process in begun)

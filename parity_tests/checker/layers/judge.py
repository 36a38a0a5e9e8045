"""The layers of a check, from "can it be called" to "does it hold in every dtype". Each gives one
row of the report."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import mpmath
import numpy as np

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.problems import Problem
from parity_tests.ports import questions
from parity_tests.ports.compiled import answers_to
from parity_tests.ports.subject import (
    GRADIENT,
    SECOND,
    VALUE,
    Plan,
    PortError,
    RefusedError,
    Subject,
    UnsupportedError,
)
from parity_tests.truth.jets import Term

from . import grades, truth

# Below it there is no number in any dtype.
SMALLEST = 5e-324
# How many errors of a port stand beside a layer.
SHOWN = 6
NONE_KNOWN: Mapping[Problem, np.ndarray] = MappingProxyType({})
# Half precision rounds a second derivative away.
HAVE_SECOND = ("float32", "float64")
PASS, FAIL, XFAIL, NOT_OFFERED = "PASS", "FAIL", "expected failure", "not offered"


class Finding(NamedTuple):
    """One number beside its truth; `error` and `allowed` in eps."""

    error: float
    allowed: float
    got: float | str
    truth: str
    point: dict[str, Any]
    message: str = ""

    @classmethod
    def exact(
        cls, right: bool, got: float | str, truth: str, point: dict[str, Any], message: str
    ) -> "Finding":
        """An answer that is either right or wrong, with no error in between."""
        return cls(0.0 if right else math.inf, 0.0, got, truth, point, message)


# The findings of a port under a plan; errors that the port raises are appended to the list.
Check = Callable[[Subject, Plan, list[PortError]], Iterator[Finding]]


@dataclass(frozen=True)
class Row:
    """The verdict on one layer, with its worst point."""

    layer: str
    status: str
    error: float | None = None
    allowed: float | None = None
    count: int = 0
    wrong: int = 0
    got: str = ""
    truth: str = ""
    point: dict[str, Any] | None = None
    note: str = ""
    # The first grade that it keeps the port from, and by what.
    kept_from: str = ""
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no infinity."""
        plain = asdict(self)
        for key in ("error", "allowed"):
            if plain[key] is not None:
                plain[key] = f"{plain[key]:.6g}"
        return plain


def verdict(
    layer: str,
    findings: Iterable[Finding],
    failed: list[PortError],
    optional: bool = False,
    dtype: str = "float32",
) -> Row:
    """The worst of a layer's findings, measured by how much is allowed. What is optional may be
    refused."""
    kept = Kept()
    worst = None
    worst_share = -1.0
    count = 0
    wrong = 0
    for finding in findings:
        share = _share(finding)
        count += 1
        if share > 1:
            wrong += 1
            kept.by_number(layer, finding, dtype)
        if share > worst_share:
            worst = finding
            worst_share = share
    honest = RefusedError if optional else UnsupportedError
    faults = [error for error in failed if not isinstance(error, honest)]
    broken = bool(wrong or faults)
    notes = _errors(failed)
    if faults:
        kept.by_error(layer, faults[0])
    if worst is None:
        status = FAIL if broken else NOT_OFFERED
        note = "; ".join(notes)
        if layer != "second order" or dtype in HAVE_SECOND:
            kept.by(grades.COMPLETE, f"{layer}: not offered")
        return Row(layer, status, note=note, kept_from=kept.grade, reason=kept.reason)
    if wrong and worst.message:
        notes.insert(0, worst.message)
    status = FAIL if broken else PASS
    row = Row(layer, status, worst.error, worst.allowed, count, wrong, note="; ".join(notes))
    row = replace(row, kept_from=kept.grade, reason=kept.reason)
    if broken and not wrong:
        # The layer fails by an error of the port: all numbers are right, and none is to be shown.
        return row
    got = worst.got if isinstance(worst.got, str) else repr(float(worst.got))
    return replace(row, got=got, truth=worst.truth, point=worst.point)


def _errors(failed: list[PortError]) -> list[str]:
    """Each once, and not all of many, which say the same of one call after the other."""
    errors = list(dict.fromkeys(map(str, failed)))
    if len(errors) <= SHOWN:
        return errors
    return [*errors[:SHOWN], f"and {len(errors) - SHOWN} errors more"]


class Kept:
    """The lowest grade that a layer keeps a port from, and the first reason for it."""

    def __init__(self) -> None:
        self.grade = ""
        self.reason = ""

    def by(self, grade: str, reason: str) -> None:
        if not self.grade or not grades.reaches(grade, self.grade):
            self.grade, self.reason = grade, reason

    def by_number(self, layer: str, finding: Finding, dtype: str) -> None:
        wrong = grades.Wrong(finding.error, finding.allowed, finding.got, finding.point)
        where = ", ".join(f"{name} = {x}" for name, x in finding.point.items())
        reason = f"{layer}: got {finding.got}, truth {finding.truth} at {where}"
        self.by(grades.kept_from(layer, wrong, dtype), reason)

    def by_error(self, layer: str, error: PortError) -> None:
        self.by(grades.of_error(layer), f"{layer}: {error}")


def _share(finding: Finding) -> float:
    """The error over what is allowed; infinite for NaN, which would compare as not larger."""
    if math.isnan(finding.error):
        return math.inf
    return finding.error / max(finding.allowed, 1e-300)


def judged(
    subject: Subject,
    plan: Plan,
    problems: list[Problem],
    order: int,
    failed: list[PortError],
    known: Mapping[Problem, np.ndarray] = NONE_KNOWN,
) -> Iterator[Finding]:
    """The findings of one order of derivatives, except for what is known already. After an error of
    the port the next problem is asked."""
    for problem in problems:
        try:
            answers = known.get(problem)
            if answers is None:
                answers = subject.answer(problem, order)
        except PortError as error:
            failed.append(error)
            continue
        yield from compared(problem, plan, order, answers)


def compared(problem: Problem, plan: Plan, order: int, answers: np.ndarray) -> Iterator[Finding]:
    for number in truth.numbers(problem, plan, order):
        index = (number.row, number.column)[: answers.ndim]
        x = float(answers[index])
        error = math.inf
        if not math.isnan(x):
            error = error_in_eps(x, number.truth, problem.dtype, number.floor)
        where = point(problem, number.row, number.column, order)
        yield Finding(error, number.allowed, x, digits(number.truth), where)


def digits(term: Term) -> str:
    if 0 < abs(term.value) < SMALLEST:
        return "0 (less than any number)"
    return str(mpmath.nstr(term.value, 17))


def point(problem: Problem, row: int, column: int = 0, order: int = VALUE) -> dict[str, Any]:
    """A sample with its settings, as numbers that reproduce it."""
    values = problem.sample(row) | problem.constants
    if order and problem.function == "softmax_focal_loss":
        values |= {"derivative": order, "class": column}
    return values


def values(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from judged(subject, plan, questions.hard(plan), VALUE, failed)


def soft_targets(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    problems = questions.soft(plan)
    yield from judged(subject, plan, problems, VALUE, failed)
    if GRADIENT in subject.orders:
        known = answers_to(subject, problems, GRADIENT)
        yield from judged(subject, plan, problems, GRADIENT, failed, known)


def gradients(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if GRADIENT in subject.orders:
        yield from judged(subject, plan, questions.hard(plan), GRADIENT, failed)


def second_order(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if SECOND in subject.orders and plan.dtype in HAVE_SECOND:
        problems = questions.hard(plan)
        known = answers_to(subject, problems, SECOND)
        yield from judged(subject, plan, problems, SECOND, failed, known)


def other_dtypes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """One γ in each of the other dtypes: half precision is held to 1 eps."""
    for dtype in plan.record.dtypes:
        if dtype == plan.dtype:
            continue
        other = replace(plan, dtype=dtype)
        # The last γ but one, or the only one that the port has.
        problem = questions.hard(other)[-2:][0]
        for order in (VALUE, GRADIENT):
            if order in subject.orders:
                for finding in judged(subject, other, [problem], order, failed):
                    yield finding._replace(point=finding.point | {"dtype": dtype})

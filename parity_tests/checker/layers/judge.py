"""The layers of a check, from "can it be called" to "does it hold in every dtype". Each gives one
row of the report."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import mpmath

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.problems import Problem
from parity_tests.ports import questions
from parity_tests.ports.subject import (
    GRADIENT,
    SECOND,
    VALUE,
    Plan,
    PortError,
    RefusedError,
    Subject,
)
from parity_tests.truth.jets import Term

from . import truth

PASS, FAIL, XFAIL, NOT_OFFERED = "PASS", "FAIL", "expected failure", "not offered"


class Finding(NamedTuple):
    """One number beside its truth; `error` and `allowed` in eps."""

    error: float
    allowed: float
    got: float | str
    truth: str
    point: dict[str, Any]
    said: str = ""


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

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no infinity."""
        plain = asdict(self)
        return plain | {
            key: None if plain[key] is None else f"{plain[key]:.6g}" for key in ("error", "allowed")
        }


def verdict(
    layer: str, findings: Iterable[Finding], failed: list[PortError], optional: bool = False
) -> Row:
    """The worst of a layer's findings, measured by how much is allowed. What is optional may be
    refused."""
    worst, ratio, count, wrong = None, -1.0, 0, 0
    for finding in findings:
        count += 1
        share = (
            math.inf if math.isnan(finding.error) else finding.error / max(finding.allowed, 1e-300)
        )
        wrong += share > 1
        if share > ratio:
            worst, ratio = finding, share
    notes = list(dict.fromkeys(str(error) for error in failed))
    broken = wrong or any(not (optional and isinstance(error, RefusedError)) for error in failed)
    if worst is None:
        return Row(layer, FAIL if broken else NOT_OFFERED, note="; ".join(notes))
    note = "; ".join([worst.said, *notes] if worst.said and wrong else notes)
    if broken and not wrong:
        # An error of the port: the numbers that it did give are right.
        return Row(layer, FAIL, worst.error, worst.allowed, count, note=note)
    shown = {
        "got": worst.got if isinstance(worst.got, str) else repr(worst.got),
        "truth": worst.truth,
        "point": worst.point,
        "note": note,
    }
    return Row(layer, FAIL if broken else PASS, worst.error, worst.allowed, count, wrong, **shown)


def asked(
    subject: Subject, plan: Plan, problems: list[Problem], order: int, failed: list[PortError]
) -> Iterator[Finding]:
    """The findings of one order of derivatives; a question that the port fails at is noted and the
    next one asked."""
    for problem in problems:
        try:
            got = subject.answer(problem, order)
        except PortError as error:
            failed.append(error)
            continue
        yield from compared(problem, plan, order, got)


def compared(problem: Problem, plan: Plan, order: int, got: Any) -> Iterator[Finding]:
    for number in truth.numbers(problem, plan, order):
        x = float(got[number.row] if got.ndim == 1 else got[number.row, number.column])
        error = (
            math.inf
            if math.isnan(x)
            else error_in_eps(x, number.truth, problem.dtype, number.floor)
        )
        yield Finding(
            error,
            number.allowed,
            x,
            digits(number.truth),
            point(problem, number.row, number.column, order),
        )


def digits(term: Term) -> str:
    return str(mpmath.nstr(term.value, 17))


def point(problem: Problem, row: int, column: int = 0, order: int = VALUE) -> dict[str, Any]:
    """A sample with its settings, as numbers that reproduce it."""
    values: dict[str, Any] = {}
    for name, x in zip(problem.names, problem.points[row].tolist(), strict=True):
        stem = name.rstrip("0123456789")
        values[stem] = x if stem == name else [*values.get(stem, []), x]
    if problem.ids is not None:
        values["targets"] = int(problem.ids[row])
    derivative = (
        {"derivative": order, "class": column}
        if order and problem.function == "softmax_focal_loss"
        else {}
    )
    return values | problem.constants | derivative


def values(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from asked(subject, plan, questions.hard(plan), VALUE, failed)


def soft_targets(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    for order in {VALUE, GRADIENT} & set(subject.orders):
        yield from asked(subject, plan, questions.soft(plan), order, failed)


def gradients(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if GRADIENT in subject.orders:
        yield from asked(subject, plan, questions.hard(plan), GRADIENT, failed)


def second_order(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if SECOND in subject.orders and plan.dtype in ("float32", "float64"):
        yield from asked(subject, plan, questions.hard(plan), SECOND, failed)


def other_dtypes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """One γ in each of the other dtypes: half precision is held to 1 eps."""
    for dtype in plan.record.dtypes:
        if dtype != plan.dtype:
            other = replace(plan, dtype=dtype)
            problem = questions.hard(other)[-2:][0]
            for finding in asked(subject, other, [problem], VALUE, failed):
                yield finding._replace(point=finding.point | {"dtype": dtype})

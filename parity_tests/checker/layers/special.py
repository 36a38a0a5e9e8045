"""Special values: what the contract says exactly, at infinite logits, NaN, empty and 0-dimensional
arrays."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from parity_tests.contract.exact import sigmoids
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.python import PythonPort
from parity_tests.ports.questions import gammas
from parity_tests.ports.subject import GRADIENT, VALUE, Plan, PortError, Subject
from parity_tests.truth import readings

from .judge import Finding, point

INF = math.inf
Check = Callable[[Subject, Plan, list[PortError]], Iterator[Finding]]


def exact(
    subject: Subject,
    problem: Problem,
    order: int,
    expected: Any,
    said: str,
    failed: list[PortError],
) -> Iterator[Finding]:
    """Each number has to be this one; NaN expects NaN."""
    try:
        got = subject.answer(problem, order)
    except PortError as error:
        failed.append(error)
        return
    for index, want in np.ndenumerate(np.asarray(expected, float)):
        x = float(got[index])
        # One unit of rounding where α is not a number of the dtype.
        same = (math.isnan(want) and math.isnan(x)) or math.isclose(x, want, rel_tol=1e-6)
        where = point(problem, index[0], index[-1], order)
        yield Finding(0.0 if same else INF, 0.0, x, f"{want:g}", where, "" if same else said)


def _alpha(plan: Plan) -> Any:
    return plan.fixed.get("alpha", None if plan.record.classes else 0.25)


def _problem(plan: Plan, rows: Any, ids: Any, gamma: float) -> Problem:
    points = np.array(rows, float)
    names = (
        tuple(f"logits{c}" for c in range(points.shape[1])) if plan.record.classes else ("logits",)
    )
    if plan.probabilities:
        points = sigmoids(points)
    alpha = _alpha(plan)
    constants = {"gamma": gamma} | ({"alpha": alpha} if not plan.record.classes else {})
    if plan.record.classes and alpha is not None:
        constants["alpha"] = list(alpha)[: points.shape[1]]
    return Problem(plan.record.name, plan.dtype, names, points, np.array(ids), constants)


def _weight(plan: Plan, target: int) -> float:
    alpha = _alpha(plan)
    if alpha is None:
        return 1.0
    return float(
        alpha[target]
        if plan.record.classes
        else readings.ALPHA[plan.convention("alpha")](target, alpha)
    )


def _each_gamma(plan: Plan) -> list[float]:
    chosen = gammas(plan)
    return [g for g in (0.0, 0.5, 2.0) if g in chosen] or [chosen[0]]


def infinite_right(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """Certainty on the right side costs nothing."""
    rows, ids = (
        ([[INF, 0, 1], [0, 1, INF]], [0, 2]) if plan.record.classes else ([[INF], [-INF]], [1, 0])
    )
    said = "an infinite logit on the right side costs nothing, and has gradient 0"
    for gamma in _each_gamma(plan):
        problem = _problem(plan, rows, ids, gamma)
        yield from exact(subject, problem, VALUE, np.zeros(2), said, failed)
        if GRADIENT in subject.orders and not plan.probabilities:
            shape = problem.points.shape if plan.record.classes else (2,)
            yield from exact(subject, problem, GRADIENT, np.zeros(shape), said, failed)


def infinite_wrong(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """Certainty on the wrong side costs infinitely much, with the slope that the loss has on the
    way there."""
    if plan.record.classes:
        rows, ids, slopes = (
            [[-INF, 0, 0], [0, INF, 0]],
            [0, 0],
            np.array([[-1, 0.5, 0.5], [-1, 1, 0]]),
        )
    else:
        rows, ids, slopes = [[-INF], [INF]], [1, 0], np.array([-1.0, 1.0])
    weight = np.array([_weight(plan, target) for target in ids])
    said = "an infinite logit on the wrong side costs inf, with gradient ∓α_t"
    for gamma in _each_gamma(plan):
        problem = _problem(plan, rows, ids, gamma)
        with np.errstate(invalid="ignore"):
            yield from exact(subject, problem, VALUE, np.where(weight == 0, 0, INF), said, failed)
        if (
            GRADIENT in subject.orders
            and not plan.probabilities
            and plan.convention("form") != "FL*"
        ):
            yield from exact(subject, problem, GRADIENT, (slopes.T * weight).T, said, failed)


def wrong_by_60(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """The published fault: losses through probabilities are capped, with gradient 0."""
    said = "wrong by 60 nats costs 60, with gradient ±1"
    weight = _weight(plan, 1)
    for gamma in _each_gamma(plan):
        problem = _problem(plan, [[60.0, 0.0]], [1], gamma)
        yield from exact(subject, problem, VALUE, [60.0 * weight], said, failed)
        if GRADIENT in subject.orders:
            yield from exact(subject, problem, GRADIENT, [[weight, -weight]], said, failed)


def one_class(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    for gamma in _each_gamma(plan):
        problem = _problem(plan, [[-3.0], [0.0], [80.0]], [0, 0, 0], gamma)
        yield from exact(
            subject,
            problem,
            VALUE,
            np.zeros(3),
            "with a single class there is nothing to lose",
            failed,
        )


def nan_stays(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """A NaN logit is NaN at its own element, and at no other."""
    rows, ids = (
        ([[0.5, 1], [math.nan, 1], [1, -1]], [0, 1, 0])
        if plan.record.classes
        else ([[0.5], [math.nan]], [1, 0])
    )
    problem = _problem(plan, rows, ids, _each_gamma(plan)[-1])
    try:
        got = np.isnan(subject.answer(problem, VALUE))
    except PortError as error:
        failed.append(error)
        return
    for row, is_nan in enumerate(got.tolist()):
        right = is_nan == (row == 1)
        said = "a NaN logit makes its own loss NaN, and no other"
        shown = math.nan if is_nan else 0.0
        yield Finding(
            0.0 if right else INF,
            0.0,
            shown,
            "nan" if row == 1 else "a number",
            point(problem, row),
            said,
        )


def _python(subject: Subject) -> PythonPort | None:
    return subject if isinstance(subject, PythonPort) and not subject.one_by_one else None


def _shape(
    subject: Subject, plan: Plan, failed: list[PortError], logits: tuple[int, ...]
) -> Iterator[Finding]:
    port, gamma = _python(subject), _each_gamma(plan)[-1]
    if port is None:
        return
    dtype = DTYPES[plan.dtype]
    expected = logits[:-1] if plan.record.classes else logits
    targets = np.zeros(expected, np.int64 if plan.record.classes else dtype)
    arguments = {
        "targets": targets,
        "gamma": gamma,
        "alpha": _alpha(plan),
        "reduction": "none",
        "axis": -1,
    }
    try:
        got = port.call(np.full(logits, 0.5, dtype), arguments)
    except PortError as error:
        failed.append(error)
        return
    right = got.shape == expected
    said = f"logits of shape {logits} give losses of shape {expected}, not {got.shape}"
    yield Finding(
        0.0 if right else INF,
        0.0,
        f"shape {got.shape}",
        f"shape {expected}",
        {"logits of shape": logits},
        said,
    )


def empty(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from _shape(subject, plan, failed, (0, 3) if plan.record.classes else (0,))


def scalar(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from _shape(subject, plan, failed, (3,) if plan.record.classes else ())


def label_types(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """Labels of every integer type mean what they mean as numbers."""
    port = _python(subject)
    if port is None:
        return
    logits = np.array([0.5, -1.0, 2.0], DTYPES[plan.dtype])
    arguments = {"gamma": _each_gamma(plan)[-1], "alpha": _alpha(plan), "reduction": "none"}
    labels = np.array([1, 0, 1])
    expected = port.call(logits, arguments | {"targets": labels.astype(logits.dtype)})
    for kind in ("bool", "uint8", "int32", "int64"):
        try:
            got = port.call(logits, arguments | {"targets": labels.astype(kind)})
        except PortError:
            continue
        same = got.shape == expected.shape and bool(np.all(got == expected))
        said = f"labels of type {kind} give other losses than the same labels as floats"
        yield Finding(
            0.0 if same else INF,
            0.0,
            float(got.ravel()[0]),
            f"{expected.ravel()[0]}",
            {"labels": kind},
            said,
        )


SPECIAL: dict[str, Check] = {
    check.__name__: check
    for check in (
        infinite_right,
        infinite_wrong,
        wrong_by_60,
        one_class,
        nan_stays,
        empty,
        scalar,
        label_types,
    )
}

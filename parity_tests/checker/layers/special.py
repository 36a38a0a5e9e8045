"""Special values: what the contract says exactly, at infinite logits, NaN, empty and 0-dimensional
arrays."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from parity_tests.contract.exact import sigmoids
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import GRADIENT, VALUE, Plan, PortError, Subject
from parity_tests.truth import readings

from .judge import Check, Finding, point
from .problems import hard_problem, usual_alpha, usual_gammas
from .reductions import nothing_kept

INF = math.inf
GAMMAS = (0.0, 0.5, 2.0)
ROWS = 6


def exact(
    subject: Subject,
    problem: Problem,
    order: int,
    expected: Any,
    message: str,
    failed: list[PortError],
) -> Iterator[Finding]:
    """Each number has to be this one; NaN expects NaN."""
    try:
        answers = subject.answer(problem, order)
    except PortError as error:
        failed.append(error)
        return
    for index, truth in np.ndenumerate(np.asarray(expected, float)):
        x = float(answers[index])
        both_nan = math.isnan(truth) and math.isnan(x)
        # One unit of rounding where α is not a number of the dtype.
        same = both_nan or math.isclose(x, truth, rel_tol=1e-6)
        where = point(problem, index[0], index[-1], order)
        yield Finding.exact(same, x, f"{truth:g}", where, message)


def _problem(plan: Plan, rows: list[Any], ids: list[int], gamma: float) -> Problem:
    """Rows again and again, in the shape of other layers: JAX compiles a program for each shape."""
    points = np.array(rows, float)
    points = np.resize(points, (ROWS, points.shape[1]))
    ids = np.resize(ids, ROWS).tolist()
    if plan.probabilities:
        points = sigmoids(points)
    return hard_problem(plan, points, ids, gamma, usual_alpha(plan))


def _weight(plan: Plan, target: int) -> float:
    alpha = usual_alpha(plan)
    if alpha is None:
        return 1.0
    if plan.record.classes:
        return float(alpha[target])
    return float(readings.ALPHA[plan.convention("alpha")](target, alpha))


def _has_gradient(subject: Subject, plan: Plan) -> bool:
    """Whether it has a gradient in the logits: that in probabilities is another one."""
    return GRADIENT in subject.orders and not plan.probabilities


def infinite_right(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """Certainty on the right side costs nothing."""
    if plan.record.classes:
        rows, ids = [[INF, 0, 1], [0, 1, INF]], [0, 2]
        zero_gradient = np.zeros((2, 3))
    else:
        rows, ids = [[INF], [-INF]], [1, 0]
        zero_gradient = np.zeros(2)
    message = "an infinite logit on the right side costs nothing, and has gradient 0"
    for gamma in usual_gammas(plan, GAMMAS):
        problem = _problem(plan, rows, ids, gamma)
        yield from exact(subject, problem, VALUE, np.zeros(2), message, failed)
        if _has_gradient(subject, plan):
            yield from exact(subject, problem, GRADIENT, zero_gradient, message, failed)


def infinite_wrong(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """Certainty on the wrong side costs infinitely much, with the slope that the loss has on the
    way there."""
    if plan.record.classes:
        rows, ids = [[-INF, 0, 0], [0, INF, 0]], [0, 0]
        slopes = np.array([[-1, 0.5, 0.5], [-1, 1, 0]])
    else:
        rows, ids = [[-INF], [INF]], [1, 0]
        slopes = np.array([-1.0, 1.0])
    weights = np.array([_weight(plan, target) for target in ids])
    losses = np.where(weights == 0, 0, INF)
    grads = (slopes.T * weights).T
    message = "an infinite logit on the wrong side costs inf, with gradient ∓α_t"
    # The slope of FL* there is another one.
    has_slope = _has_gradient(subject, plan) and plan.convention("form") != "FL*"
    for gamma in usual_gammas(plan, GAMMAS):
        problem = _problem(plan, rows, ids, gamma)
        with np.errstate(invalid="ignore"):
            yield from exact(subject, problem, VALUE, losses, message, failed)
        if has_slope:
            yield from exact(subject, problem, GRADIENT, grads, message, failed)


def wrong_by_60(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """The published fault: losses through probabilities are capped, with gradient 0."""
    message = "wrong by 60 nats costs 60, with gradient ±1"
    weight = _weight(plan, 1)
    for gamma in usual_gammas(plan, GAMMAS):
        # Of the third class nothing is left beside the others.
        problem = _problem(plan, [[60.0, 0.0, -6000.0], [-6000.0, 0.0, 60.0]], [1, 1], gamma)
        yield from exact(subject, problem, VALUE, [60.0 * weight] * 2, message, failed)
        if GRADIENT in subject.orders:
            slopes = [[weight, -weight, 0.0], [0.0, -weight, weight]]
            yield from exact(subject, problem, GRADIENT, slopes, message, failed)


def one_class(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    message = "with a single class there is nothing to lose"
    for gamma in usual_gammas(plan, GAMMAS):
        problem = _problem(plan, [[-3.0], [0.0], [80.0]], [0, 0, 0], gamma)
        yield from exact(subject, problem, VALUE, np.zeros(3), message, failed)


def nan_stays(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """A NaN logit is NaN at its own element, and at no other."""
    if plan.record.classes:
        rows, ids = [[0.5, 1, 0], [math.nan, 1, 0], [1, -1, 0]], [0, 1, 0]
    else:
        rows, ids = [[0.5], [math.nan]], [1, 0]
    problem = _problem(plan, rows, ids, usual_gammas(plan, GAMMAS)[-1])
    try:
        losses = subject.answer(problem, VALUE)
    except PortError as error:
        failed.append(error)
        return
    message = "a NaN logit makes its own loss NaN, and no other"
    for row, is_nan in enumerate(np.isnan(losses).tolist()):
        has_nan_logit = bool(np.isnan(problem.points[row]).any())
        shown = math.nan if is_nan else 0.0
        truth = "nan" if has_nan_logit else "a number"
        where = point(problem, row)
        yield Finding.exact(is_nan == has_nan_logit, shown, truth, where, message)


def _in_batches(subject: Subject) -> PythonPort | None:
    """The port that can be called by hand with arrays of any shape."""
    if isinstance(subject, PythonPort) and not subject.one_by_one:
        return subject
    return None


def _shape(
    subject: Subject, plan: Plan, failed: list[PortError], shape: tuple[int, ...]
) -> Iterator[Finding]:
    """One loss for each element of logits of this shape."""
    port = _in_batches(subject)
    if port is None or not port.form.is_usual:
        return
    logits = np.full(shape, 0.5, DTYPES[plan.dtype])
    targets = np.zeros(shape[:-1], np.int64) if plan.record.classes else np.zeros_like(logits)
    arguments = _arguments(plan) | {"targets": targets, "axis": -1}
    try:
        losses = port.call(logits, arguments)
    except PortError as error:
        failed.append(error)
        return
    expected = targets.shape
    message = f"logits of shape {shape} give losses of shape {expected}, not {losses.shape}"
    where = {"logits of shape": shape}
    right = losses.shape == expected
    yield Finding.exact(right, f"shape {losses.shape}", f"shape {expected}", where, message)


def _arguments(plan: Plan) -> dict[str, Any]:
    gamma = usual_gammas(plan, GAMMAS)[-1]
    return {"gamma": gamma, "alpha": usual_alpha(plan), "reduction": "none"}


def empty(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from _shape(subject, plan, failed, (0, 3) if plan.record.classes else (0,))


def scalar(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from _shape(subject, plan, failed, (3,) if plan.record.classes else ())


def nothing_is_kept(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    port = _in_batches(subject)
    if port is not None and not plan.probabilities:
        yield from nothing_kept(port, plan)


CHECKS: tuple[Check, ...] = (
    infinite_right,
    infinite_wrong,
    wrong_by_60,
    one_class,
    nan_stays,
    empty,
    scalar,
    nothing_is_kept,
)
SPECIAL = {check.__name__: check for check in CHECKS}

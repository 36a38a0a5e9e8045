"""Identities that hold for every loss of the kind, whatever the truth says: they ask the port about
itself."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.exact import Draws
from parity_tests.contract.grid import rounded
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import SMALLEST_NORMAL, allowed
from parity_tests.ports.questions import gammas
from parity_tests.ports.subject import VALUE, Plan, PortError, Subject
from parity_tests.truth import readings
from parity_tests.truth.jets import Term

from . import truth
from .judge import Finding, point
from .special import Check

Pair = tuple[Problem, np.ndarray]


def _logits(plan: Plan) -> np.ndarray:
    """Multiples of 1/64 to both saturations: numbers of every dtype, with their negatives and
    sums."""
    random = Draws(7).integers(-64 * 16, 64 * 16, 40) / 64
    return np.unique(rounded(np.concatenate([random, np.arange(-88, 89, 8.0)]), plan.dtype))


def _ask(
    subject: Subject, plan: Plan, points: Any, ids: Any, gamma: float, alpha: float | None = None
) -> Pair:
    points = np.asarray(points, float)
    names = (
        tuple(f"logits{c}" for c in range(points.shape[1])) if plan.record.classes else ("logits",)
    )
    alpha = plan.fixed.get("alpha", 0.5 if alpha is None and not plan.without_alpha else alpha)
    constants = {"gamma": gamma} | (
        {} if plan.record.classes and alpha is None else {"alpha": alpha}
    )
    problem = Problem(plan.record.name, plan.dtype, names, points, np.asarray(ids), constants)
    return problem, subject.answer(problem, VALUE)


def _equal(
    plan: Plan, pair: Pair, expected: Any, gamma: float, said: str, sizes: Any = None
) -> Iterator[Finding]:
    """Two results of the same quantity, each allowed its own error."""
    problem, got = pair
    units = allowed(problem.function, (), gamma, plan.dtype)
    for row, (x, want) in enumerate(zip(got.tolist(), expected, strict=True)):
        size = abs(want) if sizes is None else sizes[row]
        error = error_in_eps(
            x, Term(mpmath.mpf(want), mpmath.mpf(size)), plan.dtype, 2 * SMALLEST_NORMAL[plan.dtype]
        )
        yield Finding(error, 2 * units, x, f"{float(want):.9g}", point(problem, row), said)


def _at_most(plan: Plan, pair: Pair, bounds: Any, gamma: float, said: str) -> Iterator[Finding]:
    problem, got = pair
    clipped = [bound if x > bound else x for x, bound in zip(got.tolist(), bounds, strict=True)]
    yield from _equal(plan, (problem, got), clipped, gamma, said)


def _binary(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    z = np.repeat(_logits(plan), 2)
    return z[:, None], np.tile((0, 1), len(z) // 2)


def _weights(plan: Plan, ids: np.ndarray) -> list[float]:
    alpha = plan.fixed.get("alpha", None if plan.without_alpha else 0.5)
    factor = readings.ALPHA[plan.convention("alpha")]
    return [1.0 if alpha is None else float(factor(y, alpha)) for y in ids.tolist()]


def _entropy(plan: Plan, z: np.ndarray, ids: np.ndarray) -> list[Any]:
    """The weighted cross entropy of logits z of one column."""
    margins = np.where(ids == 1, z[:, 0], -z[:, 0]).tolist()
    with mpmath.workdps(40):
        each = [readings.neg_log_sigmoid(mpmath.mpf(u)) for u in margins]
        return [weight * x for weight, x in zip(_weights(plan, ids), each, strict=True)]


def gamma_zero(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if 0.0 in gammas(plan):
        z, ids = _binary(plan)
        yield from _equal(
            plan,
            _ask(subject, plan, z, ids, 0.0),
            _entropy(plan, z, ids),
            0.0,
            "γ = 0 is cross entropy",
        )


def swapped_classes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if "alpha" in plan.fixed and plan.fixed["alpha"] not in (None, 0.5):
        return
    if plan.convention("alpha") in ("positive", "negative"):
        z, ids = _binary(plan)
        gamma = gammas(plan)[-1]
        _, there = _ask(subject, plan, -z, 1 - ids, gamma, 0.75)
        said = "L(z, 1; α) = L(−z, 0; 1 − α)"
        yield from _equal(
            plan, _ask(subject, plan, z, ids, gamma, 0.25), there.tolist(), gamma, said
        )


def below_cross_entropy(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if plan.convention("form") == "FL":
        z, ids = _binary(plan)
        gamma = gammas(plan)[-1]
        said = "the focal loss is at most the cross entropy"
        yield from _at_most(
            plan, _ask(subject, plan, z, ids, gamma), _entropy(plan, z, ids), gamma, said
        )


def falls_with_gamma(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if plan.convention("form") == "FL*":
        return
    z, ids = _rows(plan) if plan.record.classes else _binary(plan)
    chosen = [g for g in (0.0, 0.5, 1.0, 2.0, 5.0) if g in gammas(plan)]
    for low, high in itertools.pairwise(chosen):
        _, bound = _ask(subject, plan, z, ids, low)
        said = f"γ = {high:g} costs at most what γ = {low:g} does"
        yield from _at_most(plan, _ask(subject, plan, z, ids, high), bound.tolist(), high, said)


def falls_with_margin(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    z = _logits(plan)[:, None]
    for gamma in [g for g in (0.5, 2.0) if g in gammas(plan)] or gammas(plan)[:1]:
        problem, got = _ask(subject, plan, z, np.ones(len(z), int), gamma)
        bound = [math.inf, *np.minimum.accumulate(got).tolist()[:-1]]
        yield from _at_most(plan, (problem, got), bound, gamma, "a larger margin costs no more")


def _rows(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    draws = Draws(3)
    rows = rounded(
        draws.integers(-64 * 8, 64 * 8, (30, 3)) / 64 * np.repeat((0.125, 1.0, 4.0), 10)[:, None],
        plan.dtype,
    )
    return rows, draws.integers(0, 3, len(rows))


def _sizes(plan: Plan, problem: Problem) -> list[Any]:
    return [jet[()].scale for jet in truth.jets(problem, plan)]


def shifted_logits(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    rows, ids = _rows(plan)
    gamma = gammas(plan)[-1]
    shifted = _ask(subject, plan, rounded(rows + 64, plan.dtype), ids, gamma)
    back = _ask(subject, plan, rounded(rows + 64, plan.dtype) - 64, ids, gamma)[1]
    said = "the same number added to all logits changes nothing"
    yield from _equal(plan, shifted, back.tolist(), gamma, said, _sizes(plan, shifted[0]))


def permuted_classes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if plan.fixed.get("alpha") is None:
        rows, ids = _rows(plan)
        gamma = gammas(plan)[-1]
        here = _ask(subject, plan, rows, ids, gamma)
        there = _ask(subject, plan, rows[:, [2, 0, 1]], (ids + 1) % 3, gamma)[1]
        said = "the order of the classes does not matter"
        yield from _equal(plan, here, there.tolist(), gamma, said, _sizes(plan, here[0]))


def two_classes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if plan.fixed.get("alpha") is None:
        z = _logits(plan)
        gamma = gammas(plan)[-1]
        pair = _ask(subject, plan, np.stack([np.zeros_like(z), z], 1), np.ones(len(z), int), gamma)
        with mpmath.workdps(40):
            expected = [readings.focal(mpmath.mpf(x), mpmath.mpf(gamma)) for x in z.tolist()]
        said = "two classes with logits 0 and z are a sigmoid of z"
        yield from _equal(plan, pair, expected, gamma, said, _sizes(plan, pair[0]))


IDENTITIES: dict[str, Check] = {
    check.__name__: check
    for check in (
        gamma_zero,
        swapped_classes,
        below_cross_entropy,
        falls_with_gamma,
        falls_with_margin,
        shifted_logits,
        permuted_classes,
        two_classes,
    )
}

"""Identities that hold for every loss of the kind, whatever the truth says: they ask the port about
itself."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import mpmath
import numpy as np

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.exact import Draws
from parity_tests.contract.grid import rounded
from parity_tests.contract.problems import Problem, power
from parity_tests.contract.tolerances import SMALLEST_NORMAL, allowed
from parity_tests.ports.questions import gammas
from parity_tests.ports.subject import VALUE, Plan, PortError, Subject
from parity_tests.truth import readings
from parity_tests.truth.jets import Term

from . import truth
from .judge import Check, Finding, point
from .problems import hard_problem, usual_gammas

Numbers = Sequence[Any]  # floats or mpf


class Losses(NamedTuple):
    """What a port answers to a problem."""

    problem: Problem
    numbers: list[float]

    @property
    def gamma(self) -> float:
        return power(self.problem.function, self.problem.constants)


def spaced_logits(plan: Plan) -> np.ndarray:
    """Multiples of 1/64 to both saturations: numbers of every dtype, with their negatives and
    sums."""
    random = Draws(7).integers(-64 * 16, 64 * 16, 40) / 64
    whole = np.arange(-88, 89, 8.0)
    return np.unique(rounded(np.concatenate([random, whole]), plan.dtype))


def _binary(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Each logit with both targets."""
    logits = np.repeat(spaced_logits(plan), 2)
    return logits[:, None], np.tile((0, 1), len(logits) // 2)


def _rows(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Rows of three logits with class ids, ten rows at each of three magnitudes."""
    draws = Draws(3)
    magnitudes = np.repeat((0.125, 1.0, 4.0), 10)[:, None]
    rows = draws.integers(-64 * 8, 64 * 8, (30, 3)) / 64 * magnitudes
    return rounded(rows, plan.dtype), draws.integers(0, 3, len(rows))


def _alpha(plan: Plan) -> Any:
    """None, or 1/2 for ports that refuse it: it weights both classes alike."""
    return plan.fixed.get("alpha", None if plan.without_alpha else 0.5)


def _ask(
    subject: Subject,
    plan: Plan,
    points: np.ndarray,
    ids: np.ndarray,
    gamma: float,
    alpha: float | None = None,
) -> Losses:
    if alpha is None or "alpha" in plan.fixed:
        alpha = _alpha(plan)
    problem = hard_problem(plan, points, ids, gamma, alpha)
    return Losses(problem, subject.answer(problem, VALUE).tolist())


def equal(
    plan: Plan, losses: Losses, expected: Numbers, message: str, sizes: Numbers | None = None
) -> Iterator[Finding]:
    """Two results of the same quantity, each allowed its own error."""
    units = 2 * allowed(losses.problem.function, (), losses.gamma, plan.dtype)
    floor = 2 * SMALLEST_NORMAL[plan.dtype]
    if sizes is None:
        sizes = [abs(value) for value in expected]
    pairs = zip(losses.numbers, expected, sizes, strict=True)
    for row, (x, value, size) in enumerate(pairs):
        term = Term(mpmath.mpf(value), mpmath.mpf(size))
        error = error_in_eps(x, term, plan.dtype, floor)
        where = point(losses.problem, row)
        yield Finding(error, units, x, f"{float(value):.9g}", where, message)


def at_most(
    plan: Plan, losses: Losses, bounds: Numbers, message: str, sizes: Numbers | None = None
) -> Iterator[Finding]:
    """A loss up to its bound is right; one above is compared with the bound."""
    nearest = [min(x, bound) for x, bound in zip(losses.numbers, bounds, strict=True)]
    yield from equal(plan, losses, nearest, message, sizes)


def _entropy(plan: Plan, z: np.ndarray, ids: np.ndarray) -> list[Any]:
    """The weighted cross entropy of logits z of one column."""
    margins = np.where(ids == 1, z[:, 0], -z[:, 0])
    alpha = _alpha(plan)
    factor = readings.ALPHA[plan.convention("alpha")]
    entropies = []
    with mpmath.workdps(40):
        for margin, y in zip(margins.tolist(), ids.tolist(), strict=True):
            weight = 1.0 if alpha is None else float(factor(y, alpha))
            entropies.append(weight * readings.neg_log_sigmoid(mpmath.mpf(margin)))
    return entropies


def sizes_of(plan: Plan, problem: Problem) -> list[Any]:
    return [jet[()].scale for jet in truth.jets(problem, plan)]


def gamma_zero(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if 0.0 in gammas(plan):
        z, ids = _binary(plan)
        losses = _ask(subject, plan, z, ids, 0.0)
        yield from equal(plan, losses, _entropy(plan, z, ids), "γ = 0 is cross entropy")


def swapped_classes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if plan.fixed.get("alpha") not in (None, 0.5):
        return
    if plan.convention("alpha") not in ("positive", "negative"):
        return
    z, ids = _binary(plan)
    gamma = gammas(plan)[-1]
    mirrored = _ask(subject, plan, -z, 1 - ids, gamma, 0.75)
    losses = _ask(subject, plan, z, ids, gamma, 0.25)
    yield from equal(plan, losses, mirrored.numbers, "L(z, 1; α) = L(−z, 0; 1 − α)")


def below_cross_entropy(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if plan.convention("form") == "FL":
        z, ids = _binary(plan)
        losses = _ask(subject, plan, z, ids, gammas(plan)[-1])
        message = "the focal loss is at most the cross entropy"
        yield from at_most(plan, losses, _entropy(plan, z, ids), message)


def falls_with_gamma(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if plan.convention("form") == "FL*":
        return
    z, ids = _rows(plan) if plan.record.classes else _binary(plan)
    chosen = usual_gammas(plan, (0.0, 0.5, 1.0, 2.0, 5.0))
    for low, high in itertools.pairwise(chosen):
        bounds = _ask(subject, plan, z, ids, low).numbers
        losses = _ask(subject, plan, z, ids, high)
        message = f"γ = {high:g} costs at most what γ = {low:g} does"
        yield from at_most(plan, losses, bounds, message)


def falls_with_margin(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    z = spaced_logits(plan)[:, None]
    positive = np.ones(len(z), int)
    for gamma in usual_gammas(plan, (0.5, 2.0)):
        losses = _ask(subject, plan, z, positive, gamma)
        smallest = np.minimum.accumulate(losses.numbers).tolist()
        bounds = [math.inf, *smallest[:-1]]
        yield from at_most(plan, losses, bounds, "a larger margin costs no more")


def shifted_logits(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    rows, ids = _rows(plan)
    gamma = gammas(plan)[-1]
    shifted = rounded(rows + 64, plan.dtype)
    losses = _ask(subject, plan, shifted, ids, gamma)
    # Not the rows themselves, which the shift may have rounded.
    unshifted = _ask(subject, plan, shifted - 64, ids, gamma)
    message = "the same number added to all logits changes nothing"
    sizes = sizes_of(plan, losses.problem)
    yield from equal(plan, losses, unshifted.numbers, message, sizes)


def permuted_classes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if plan.fixed.get("alpha") is None:
        rows, ids = _rows(plan)
        gamma = gammas(plan)[-1]
        losses = _ask(subject, plan, rows, ids, gamma)
        permuted = _ask(subject, plan, rows[:, [2, 0, 1]], (ids + 1) % 3, gamma)
        message = "the order of the classes does not matter"
        sizes = sizes_of(plan, losses.problem)
        yield from equal(plan, losses, permuted.numbers, message, sizes)


def two_classes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if plan.fixed.get("alpha") is None:
        z = spaced_logits(plan)
        gamma = gammas(plan)[-1]
        rows = np.stack([np.zeros_like(z), z], 1)
        losses = _ask(subject, plan, rows, np.ones(len(z), int), gamma)
        with mpmath.workdps(40):
            expected = [readings.focal(mpmath.mpf(x), mpmath.mpf(gamma)) for x in z.tolist()]
        message = "two classes with logits 0 and z are a sigmoid of z"
        yield from equal(plan, losses, expected, message, sizes_of(plan, losses.problem))


CHECKS: tuple[Check, ...] = (
    gamma_zero,
    swapped_classes,
    below_cross_entropy,
    falls_with_gamma,
    falls_with_margin,
    shifted_logits,
    permuted_classes,
    two_classes,
)
IDENTITIES = {check.__name__: check for check in CHECKS}

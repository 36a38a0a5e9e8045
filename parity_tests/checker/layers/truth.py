"""The truth at the samples of a question, under the conventions that a port declares."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.family_records import FAMILY
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import FLOOR
from parity_tests.ports.subject import GRADIENT, SECOND, VALUE, Plan, along, logit_names
from parity_tests.truth import oracle, readings
from parity_tests.truth.jets import Jet, Term

Real = Any  # a float or an mpf; mpmath has no types

DIGITS = 60
LOGITS = frozenset({"logits"})
# The rules for soft targets that the oracle has in closed form.
CLOSED_FORMS = ("interpolate", "mixture")
_known: dict[tuple[Any, ...], list[Jet]] = {}


class Number(NamedTuple):
    """One number that a port has to give: the truth, what is allowed, and where it stands."""

    truth: Term
    allowed: float
    floor: float
    row: int
    column: int


def jets(problem: Problem, plan: Plan) -> list[Jet]:
    """The truth at every sample, computed once per process."""
    conventions = tuple(sorted(plan.conventions.items()))
    key = (problem, conventions, plan.fixed.get("beta", 0), plan.probabilities)
    if key not in _known:
        _known[key] = [_jet(problem, plan, row) for row in range(len(problem.points))]
    return _known[key]


def _jet(problem: Problem, plan: Plan, row: int) -> Jet:
    if plan.record.classes or plan.record.name in FAMILY:
        return problem.truth(row)
    z, y = _sample(problem, plan, row)
    jet = _sigmoid_jet(plan, z, y, problem.constants["alpha"], problem.constants["gamma"])
    return _in_probability(z, jet) if plan.probabilities else jet


def _sample(problem: Problem, plan: Plan, row: int) -> tuple[Real, float]:
    """The logit, which is exact also where the port is given a probability, and the target."""
    point = problem.points[row]
    y = float(problem.ids[row]) if problem.ids is not None else float(point[1])
    if not plan.probabilities:
        return float(point[0]), y
    with mpmath.workdps(2 * DIGITS):
        p = mpf(float(point[0]))
        return mpmath.log(p) - mpmath.log1p(-p), y


def _sigmoid_jet(plan: Plan, z: Real, y: float, alpha: Real, gamma: float) -> Jet:
    """By the oracle as far as it has the conventions in closed form, else by their reading."""
    alpha_rule = plan.convention("alpha")
    soft_rule = plan.convention("soft_targets")
    form = plan.convention("form")
    if alpha_rule == "negative" and alpha is not None:
        alpha_rule = "positive"
        alpha = mpf(1) - mpf(alpha)
    # All rules for soft targets are the same at 0 and 1.
    rule = "interpolate" if y in (0, 1) else soft_rule
    oracle_rule = rule if rule in CLOSED_FORMS else "interpolate"
    weight = mpf(1)
    is_factor = alpha is not None and form == "FL" and rule == "interpolate"
    if is_factor and alpha_rule != "positive":
        # Another α is another factor of the same loss.
        weight = readings.ALPHA[alpha_rule](mpf(y), mpf(alpha))
        alpha_rule = "positive"
        alpha = None
    settings = (alpha, gamma, weight, oracle_rule, LOGITS)
    jet = oracle.certified(lambda: oracle.sigmoid_focal_loss(z, y, *settings))
    if (alpha_rule, rule, form) == ("positive", oracle_rule, "FL"):
        return jet
    loss = readings.declared(alpha_rule, soft_rule, form, plan.fixed.get("beta", 0.0))
    return _read(loss, z, y, alpha, gamma, jet)


def _read(loss: readings.Loss, z: Real, y: float, alpha: Real, gamma: float, near: Jet) -> Jet:
    """A reading's jet. Its terms cancel where those of the paper's loss `near` it do.

    Readings scale the margin, by γ or by 2y − 1: the scale holds what the rounding of that product
    costs.
    """
    jet = Jet()
    with mpmath.workdps(DIGITS):
        # One order more than is wanted: a rounded margin moves each by its own derivative.
        values = [readings.derivative(loss, z, y, alpha, gamma, order) for order in range(4)]
        for order in (VALUE, GRADIENT, SECOND):
            key = ("logits",) * order
            size = abs(values[order])
            if order:
                size = max(size, near[key].scale)
            moved = abs(z * values[order + 1])
            jet[key] = Term(values[order], size + moved)
    return jet


def _in_probability(z: Real, jet: Jet) -> Jet:
    """From derivatives in z to derivatives in p: dz/dp = 1/(p·q)."""
    first = jet[("logits",)]
    second = jet[("logits", "logits")]
    with mpmath.workdps(DIGITS):
        p = oracle.sigmoid(z)
        q = oracle.sigmoid(-z)
        rate = 1 / (p * q)
        slope = Term(first.value * rate, first.scale * rate)
        bend = second.value * rate**2 + first.value * (p - q) * rate**2
        bend_scale = second.scale * rate**2 + first.scale * rate**2
    second_in_p = Term(bend, bend_scale)
    return Jet({(): jet[()], ("logits",): slope, ("logits", "logits"): second_in_p})


def numbers(problem: Problem, plan: Plan, order: int) -> Iterator[Number]:
    """What `Subject.answer` has to give, in its order."""
    names = logit_names(problem)
    columns = names if order else names[:1]
    key = ("logits",) * order
    floor = FLOOR[problem.dtype][order]
    for row, jet in enumerate(jets(problem, plan)):
        limit = problem.limit(row, key)
        for column, name in enumerate(columns):
            term = derivative(problem, jet, name, order)
            yield Number(term, limit, floor, row, column)


def derivative(problem: Problem, jet: Jet, name: str, order: int) -> Term:
    """The loss, its gradient in one logit, or that row of its Hessian times the direction."""
    if order == SECOND:
        return _along(jet, logit_names(problem), name, along(problem))
    return jet[(name,) * order]


def _along(jet: Jet, names: list[str], name: str, direction: np.ndarray) -> Term:
    """One row of the Hessian times the direction."""
    total = Term(mpf(0), mpf(0))
    with mpmath.workdps(DIGITS):
        for other, x in zip(names, direction.tolist(), strict=True):
            second = jet[tuple(sorted((name, other)))]
            total = total + second * Term(mpf(x), mpf(x))
    return total

"""The truth at the samples of a question, under the conventions that a port declares."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import FLOOR, allowed
from parity_tests.ports.subject import GRADIENT, SECOND, Plan, along, logit_names
from parity_tests.truth import oracle, readings
from parity_tests.truth.jets import Jet, Term

DIGITS = 60
LOGITS = frozenset({"logits"})
_known: dict[tuple[Problem, Any], list[Jet]] = {}


class Number(NamedTuple):
    """One number that a port has to give: the truth, what is allowed, and where it stands."""

    truth: Term
    allowed: float
    floor: float
    row: int
    column: int


def jets(problem: Problem, plan: Plan) -> list[Jet]:
    """The truth at every sample, computed once per process."""
    key = (
        problem,
        (tuple(sorted(plan.conventions.items())), plan.fixed.get("beta", 0), plan.probabilities),
    )
    if key not in _known:
        _known[key] = [_jet(problem, plan, row) for row in range(len(problem.points))]
    return _known[key]


def _jet(problem: Problem, plan: Plan, row: int) -> Jet:
    if plan.record.classes:
        return problem.truth(row)
    z, y = _sample(problem, plan, row)
    alpha, gamma = problem.constants["alpha"], problem.constants["gamma"]
    names = ("alpha", "soft_targets", "form")
    chosen = {name: plan.convention(name) for name in names}
    if chosen["alpha"] == "negative" and alpha is not None:
        chosen["alpha"], alpha = "positive", mpf(1) - mpf(alpha)
    rule = chosen["soft_targets"] if y not in (0, 1) else "interpolate"
    weight = mpf(1)
    if (
        chosen["alpha"] != "positive"
        and rule == "interpolate"
        and chosen["form"] == "FL"
        and alpha is not None
    ):
        # Another α is another factor of the same loss.
        weight, alpha, chosen["alpha"] = (
            readings.ALPHA[chosen["alpha"]](mpf(y), mpf(alpha)),
            None,
            "positive",
        )
    settings = (alpha, gamma, weight, _of_oracle(rule), LOGITS)
    jet = oracle.certified(lambda: oracle.sigmoid_focal_loss(z, y, *settings))
    if chosen["alpha"] != "positive" or rule != _of_oracle(rule) or chosen["form"] != "FL":
        loss = readings.declared(**chosen, beta=plan.fixed.get("beta", 0.0))
        jet = _read(loss, z, y, alpha, gamma, jet)
    return _in_probability(z, jet) if plan.probabilities else jet


def _of_oracle(rule: str) -> str:
    return rule if rule in ("interpolate", "mixture") else "interpolate"


def _sample(problem: Problem, plan: Plan, row: int) -> tuple[Any, float]:
    """The logit, which is exact also where the port is given a probability, and the target."""
    point = problem.points[row]
    y = float(problem.ids[row]) if problem.ids is not None else float(point[1])
    if not plan.probabilities:
        return float(point[0]), y
    with mpmath.workdps(2 * DIGITS):
        p = mpf(float(point[0]))
        return mpmath.log(p) - mpmath.log1p(-p), y


def _read(loss: readings.Loss, z: Any, y: float, alpha: Any, gamma: float, near: Jet) -> Jet:
    """A reading's jet. Its terms cancel where those of the paper's loss `near` it do.

    Readings scale the margin, by γ or by 2y − 1: the scale holds what the rounding of that product
    costs.
    """
    with mpmath.workdps(DIGITS):
        *values, beyond = (
            readings.derivative(loss, z, y, alpha, gamma, order) for order in range(4)
        )
        jet = Jet()
        for order, value in enumerate(values):
            moved = abs(z * (values[order + 1] if order < SECOND else beyond))
            size = abs(value) if not order else max(abs(value), near[("logits",) * order].scale)
            jet[("logits",) * order] = Term(value, size + moved)
        return jet


def _in_probability(z: Any, jet: Jet) -> Jet:
    """From derivatives in z to derivatives in p: dz/dp = 1/(p·q)."""
    with mpmath.workdps(DIGITS):
        p, q = oracle.sigmoid(z), oracle.sigmoid(-z)
        first, second = jet[("logits",)], jet[("logits", "logits")]
        rate = 1 / (p * q)
        bend = Term.of(second.value * rate**2, first.value * (p - q) * rate**2)
        bend = Term(bend.value, second.scale * rate**2 + first.scale * rate**2)
        slope = Term(first.value * rate, first.scale * rate)
        return Jet({(): jet[()], ("logits",): slope, ("logits", "logits"): bend})


def numbers(problem: Problem, plan: Plan, order: int) -> Iterator[Number]:
    """What `Subject.answer` has to give, in its order."""
    names = logit_names(problem)
    gamma = float(problem.constants["gamma"])
    for row, jet in enumerate(jets(problem, plan)):
        for column in range(len(names) if order else 1):
            term = _term(jet, names, column, order, along(problem))
            limit = allowed(
                problem.function,
                ("logits",) * order,
                gamma,
                problem.dtype,
                float(problem.points[row, 0]),
            )
            yield Number(term, limit, FLOOR[problem.dtype][order], row, column)


def _term(jet: Jet, names: list[str], column: int, order: int, direction: np.ndarray) -> Term:
    if order < SECOND:
        return jet[(names[column],)] if order == GRADIENT else jet[()]
    total = Term(mpf(0), mpf(0))
    with mpmath.workdps(DIGITS):
        for other, x in zip(names, direction.tolist(), strict=True):
            total = total + jet[tuple(sorted((names[column], other)))] * Term(mpf(x), mpf(x))
    return total

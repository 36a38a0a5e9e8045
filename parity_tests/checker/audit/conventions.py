"""Which conventions an implementation has, found by its answers at ordinary points, whatever it
declares."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.checker.diagnosis.evidence import Evidence
from parity_tests.contract.problems import Problem
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import PortError, RefusedError
from parity_tests.truth import readings

ORDINARY = (-2.0, -0.75, 0.5, 1.25)
ROWS = ((0.5, -1.0, 0.25), (2.0, 0.5, -0.75), (-1.5, 0.0, 1.0))
SHARES = ((0.25, 0.5, 0.25), (0.0, 0.75, 0.25), (0.5, 0.125, 0.375))
ERROR, OTHER, NONE = "error", "other", "none"
Numbers = list[Any]

# The weights of class 1 and class 0.
ALPHA_SAYS = {
    "positive": "α, 1 − α",
    "negative": "1 − α, α",
    "positive_only": "α, 1",
    "both": "α, α",
    "ignored": "1, 1",
    "doubled_negatives": "α, 2 − 2α",
    "negative_only": "1, 1 − α",
}


def _weighted(y: Numbers, numbers: Numbers) -> Any:
    return sum(share * x for share, x in zip(y, numbers, strict=True))


def _cross_entropy(u: Numbers, y: Numbers) -> Any:
    return _weighted(y, [readings.neg_log_sigmoid(x) for x in u])


def _mixture(u: Numbers, y: Numbers, gamma: float) -> Any:
    return _weighted(y, [readings.focal(x, gamma) for x in u])


def _interpolate(u: Numbers, y: Numbers, gamma: float) -> Any:
    p = _weighted(y, [readings.sigmoid(x) for x in u])
    return (1 - p) ** gamma * _cross_entropy(u, y)


def _exp_bce(u: Numbers, y: Numbers, gamma: float) -> Any:
    cross_entropy = _cross_entropy(u, y)
    return (-mpmath.expm1(-cross_entropy)) ** gamma * cross_entropy


# What softmax losses make of class probabilities y, from the margins u of the classes.
Soft = Callable[[Numbers, Numbers, float], Any]
SOFT_CLASSES: dict[str, Soft] = {
    "mixture": _mixture,
    "interpolate": _interpolate,
    "exp_bce": _exp_bce,
}


def margins(row: tuple[float, ...]) -> Numbers:
    """How far each class is ahead of the others together."""
    total = sum(mpmath.exp(x) for x in row)
    return [x - mpmath.log(total - mpmath.exp(x)) for x in map(mpf, row)]


def _with_free_alpha(evidence: Evidence) -> Evidence:
    """The same implementation with α as it is given."""
    port = evidence.subject
    assert isinstance(port, PythonPort)
    fixed = {name: x for name, x in evidence.plan.fixed.items() if name != "alpha"}
    plan = replace(evidence.plan, fixed=fixed)
    return Evidence(replace(port, plan=plan), plan)


def usual_gamma(evidence: Evidence) -> float:
    """γ = 2, or the largest if a port has another one."""
    return 2.0 if 2.0 in evidence.gammas else evidence.gammas[-1]


def alpha(evidence: Evidence) -> str:
    if not evidence.subject.takes("alpha"):
        return NONE
    free = _with_free_alpha(evidence)
    return _alpha_of_classes(free) if evidence.plan.record.classes else _alpha_of_two(free)


def _alpha_of_two(evidence: Evidence) -> str:
    points = list(itertools.product(ORDINARY, (0, 1)))
    logits, targets = zip(*points, strict=True)
    gamma, form = usual_gamma(evidence), evidence.plan.convention("form")
    beta = evidence.plan.fixed.get("beta", 0.0)
    answers = {a: evidence.ask(logits, targets, gamma, a) for a in (0.25, 0.75)}
    for name in readings.ALPHA:
        loss = readings.declared(name, "interpolate", form, beta)
        matches = []
        for a, answer in answers.items():
            with mpmath.workdps(20):
                expected = [float(loss(mpf(z), y, a, gamma)) for z, y in points]
            matches.append(evidence.agrees(answer, expected))
        if all(matches):
            return ALPHA_SAYS[name]
    return OTHER


def _alpha_of_classes(evidence: Evidence) -> str:
    """As one weight per class, and as one number; both may be taken."""
    kinds = []
    weights = [0.25, 0.5, 0.75]
    if _is_weighted(evidence, weights, weights):
        kinds.append("one per class")
    if _is_weighted(evidence, 0.25, [0.75, 0.25, 0.25]):
        kinds.append("a number: 1 − α for class 0, else α")
    if _is_weighted(evidence, 0.25, [0.25] * 3):
        kinds.append("a number: α for all")
    return "; ".join(kinds) or OTHER


def _is_weighted(evidence: Evidence, alpha: Any, weights: list[float]) -> bool:
    """Whether an α weights the loss of each class by these numbers."""
    rows, ids = zip(*itertools.product(ROWS, range(3)), strict=True)
    gamma = usual_gamma(evidence)
    plain = evidence.ask(rows, ids, gamma, None)
    weighted = evidence.ask(rows, ids, gamma, alpha)
    if plain is None:
        return False
    expected = plain * [weights[t] for t in ids]
    return evidence.agrees(weighted, expected)


def soft_targets(evidence: Evidence) -> str:
    free = _with_free_alpha(evidence)
    return _soft_rows(free) if evidence.plan.record.classes else _soft_sigmoid(free)


def _soft_sigmoid(evidence: Evidence) -> str:
    points = list(itertools.product(ORDINARY, (0.3, 0.8)))
    logits, targets = zip(*points, strict=True)
    gamma, share = usual_gamma(evidence), 1.0
    answer = evidence.ask(logits, targets, gamma, None)
    if answer is None:
        # α = 1/2 halves every loss, whichever class it is for.
        share = 0.5
        answer = evidence.ask(logits, targets, gamma, share)
    if answer is None or not np.all(np.isfinite(answer)):
        return ERROR
    for name, loss in readings.SOFT.items():
        with mpmath.workdps(20):
            expected = [share * float(loss(mpf(z), mpf(y), gamma)) for z, y in points]
        if evidence.agrees(answer, expected):
            return name
    return OTHER


def _soft_rows(evidence: Evidence) -> str:
    plan, gamma = evidence.plan, usual_gamma(evidence)
    names = tuple(f"{stem}{c}" for stem in ("logits", "targets") for c in range(3))
    points = np.concatenate([ROWS, SHARES], axis=1)
    constants = {"gamma": gamma}
    problem = Problem(plan.record.asked_as, plan.dtype, names, points, constants=constants)
    try:
        answer = evidence.subject.answer(problem, 0)
    except PortError:
        return ERROR
    for name, loss in SOFT_CLASSES.items():
        with mpmath.workdps(20):
            expected = _losses_of_rows(loss, gamma)
        if evidence.agrees(answer, expected):
            return name
    return OTHER


def _losses_of_rows(loss: Soft, gamma: float) -> list[float]:
    losses = []
    for row, shares in zip(ROWS, SHARES, strict=True):
        y = [mpf(share) for share in shares]
        losses.append(float(loss(margins(row), y, gamma)))
    return losses


def called(evidence: Evidence, targets: tuple[int, ...], dtype: Any) -> np.ndarray:
    """What comes back for four examples and targets of this shape."""
    port = evidence.subject
    assert isinstance(port, PythonPort)
    arguments: dict[str, Any] = {"gamma": usual_gamma(evidence), "reduction": "none", "axis": -1}
    if evidence.plan.record.classes:
        logits = np.zeros((4, 3), dtype)
        arguments["targets"] = np.zeros(targets, np.int64)
    else:
        logits = np.zeros(4, dtype)
        arguments["targets"] = np.zeros(targets, dtype)
        arguments["alpha"] = evidence.alpha
    return port.call(logits, arguments)


def column(evidence: Evidence) -> str:
    """The shape of the loss of (4,) logits with (4, 1) targets."""
    try:
        shape = called(evidence, (4, 1), np.float32).shape
    except RefusedError:
        return ERROR
    return str(shape) if shape else "one number"

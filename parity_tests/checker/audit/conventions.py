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
from parity_tests.ports.questions import gammas
from parity_tests.ports.subject import PortError, RefusedError
from parity_tests.truth import readings

ORDINARY = (-2.0, -0.75, 0.5, 1.25)
ROWS = ((0.5, -1.0, 0.25), (2.0, 0.5, -0.75), (-1.5, 0.0, 1.0))
SHARES = ((0.25, 0.5, 0.25), (0.0, 0.75, 0.25), (0.5, 0.125, 0.375))
ERROR, OTHER, NONE = "error", "other", "none"

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

# What softmax losses make of class probabilities y: from the margins u, log p and p of the classes.
Soft = Callable[[list[Any], list[Any], float], Any]
SOFT_CLASSES: dict[str, Soft] = {
    "mixture": lambda u, y, g: sum(a * readings.focal(x, g) for a, x in zip(y, u, strict=True)),
    "interpolate": lambda u, y, g: (1 - _expected(u, y)) ** g * _cross_entropy(u, y),
    "exp_bce": lambda u, y, g: (-mpmath.expm1(-_cross_entropy(u, y))) ** g * _cross_entropy(u, y),
}


def _expected(u: list[Any], y: list[Any]) -> Any:
    return sum(a * readings.sigmoid(x) for a, x in zip(y, u, strict=True))


def _cross_entropy(u: list[Any], y: list[Any]) -> Any:
    return sum(a * readings.neg_log_sigmoid(x) for a, x in zip(y, u, strict=True))


def margins(row: tuple[float, ...]) -> list[Any]:
    """How far each class is ahead of the others together."""
    total = sum(mpmath.exp(x) for x in row)
    return [x - mpmath.log(total - mpmath.exp(x)) for x in map(mpf, row)]


def _free(evidence: Evidence) -> Evidence:
    """The same implementation with α as it is given."""
    port = evidence.subject
    assert isinstance(port, PythonPort)
    plan = replace(
        evidence.plan, fixed={name: x for name, x in evidence.plan.fixed.items() if name != "alpha"}
    )
    return Evidence(replace(port, plan=plan), plan)


def _gamma(evidence: Evidence) -> float:
    return 2.0 if 2.0 in gammas(evidence.plan) else gammas(evidence.plan)[-1]


def alpha(evidence: Evidence) -> str:
    if not evidence.subject.takes("alpha"):
        return NONE
    return (_alpha_of_classes if evidence.plan.record.classes else _alpha_of_two)(_free(evidence))


def _alpha_of_two(evidence: Evidence) -> str:
    logits, targets = zip(*itertools.product(ORDINARY, (0, 1)), strict=True)
    gamma, form = _gamma(evidence), evidence.plan.convention("form")
    answers = {a: evidence.ask(logits, targets, gamma, a) for a in (0.25, 0.75)}
    for name in readings.ALPHA:
        loss = readings.declared(name, "interpolate", form, evidence.plan.fixed.get("beta", 0.0))
        with mpmath.workdps(20):
            expected = {
                a: [float(loss(mpf(z), y, a, gamma)) for z, y in zip(logits, targets, strict=True)]
                for a in answers
            }
        if all(evidence.agrees(answers[a], expected[a]) for a in answers):
            return ALPHA_SAYS[name]
    return OTHER


def _alpha_of_classes(evidence: Evidence) -> str:
    """As one weight per class, and as one number; both may be taken."""
    found = []
    weights = [0.25, 0.5, 0.75]
    if _is_weighted(evidence, weights, weights):
        found.append("one per class")
    for says, expected in {
        "1 − α for class 0, else α": [0.75, 0.25, 0.25],
        "α for all": [0.25] * 3,
    }.items():
        if _is_weighted(evidence, 0.25, expected):
            found.append(f"a number: {says}")
    return "; ".join(found) or OTHER


def _is_weighted(evidence: Evidence, given: Any, expected: list[float]) -> bool:
    rows, ids = zip(*itertools.product(ROWS, range(3)), strict=True)
    plain = evidence.ask(rows, ids, _gamma(evidence), None)
    got = evidence.ask(rows, ids, _gamma(evidence), given)
    return plain is not None and evidence.agrees(got, plain * [expected[t] for t in ids])


def soft_targets(evidence: Evidence) -> str:
    free = _free(evidence)
    return _soft_rows(free) if evidence.plan.record.classes else _soft_sigmoid(free)


def _soft_sigmoid(evidence: Evidence) -> str:
    logits, targets = zip(*itertools.product(ORDINARY, (0.3, 0.8)), strict=True)
    gamma, share = _gamma(evidence), 1.0
    got = evidence.ask(logits, targets, gamma, None)
    if got is None:
        # α = 1/2 halves every loss, whichever class it is for.
        got, share = evidence.ask(logits, targets, gamma, 0.5), 0.5
    if got is None or not np.all(np.isfinite(got)):
        return ERROR
    for name, loss in readings.SOFT.items():
        with mpmath.workdps(20):
            expected = [
                share * float(loss(mpf(z), mpf(y), gamma))
                for z, y in zip(logits, targets, strict=True)
            ]
        if evidence.agrees(got, expected):
            return name
    return OTHER


def _soft_rows(evidence: Evidence) -> str:
    names = tuple(f"{stem}{c}" for stem in ("logits", "targets") for c in range(3))
    points, gamma = np.concatenate([ROWS, SHARES], axis=1), _gamma(evidence)
    problem = Problem(
        evidence.plan.record.name, evidence.plan.dtype, names, points, constants={"gamma": gamma}
    )
    try:
        got = evidence.subject.answer(problem, 0)
    except PortError:
        return ERROR
    for name, loss in SOFT_CLASSES.items():
        with mpmath.workdps(20):
            pairs = zip(ROWS, SHARES, strict=True)
            expected = [
                float(loss(margins(row), [mpf(y) for y in shares], gamma)) for row, shares in pairs
            ]
        if evidence.agrees(got, expected):
            return name
    return OTHER


def called(evidence: Evidence, targets: tuple[int, ...], dtype: Any) -> np.ndarray:
    """What comes back for four examples and targets of this shape."""
    port, classes = evidence.subject, evidence.plan.record.classes
    assert isinstance(port, PythonPort)
    logits = np.zeros((4, 3) if classes else (4,), dtype)
    arguments: dict[str, Any] = {
        "targets": np.zeros(targets, np.int64 if classes else dtype),
        "gamma": _gamma(evidence),
    }
    arguments |= {"reduction": "none", "axis": -1} | ({} if classes else {"alpha": evidence.alpha})
    return port.call(logits, arguments)


def column(evidence: Evidence) -> str:
    """The shape of the loss of (4,) logits with (4, 1) targets."""
    try:
        shape = called(evidence, (4, 1), np.float32).shape
    except RefusedError:
        return ERROR
    return str(shape) if shape else "one number"

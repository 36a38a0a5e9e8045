"""Which rule a port has for targets between 0 and 1, or for class probabilities."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.exact import sigmoids
from parity_tests.truth import readings

from . import messages, softmax
from .evidence import Diagnosis, Evidence
from .sigmoid import ORDINARY

Real = Any  # an mpf; mpmath has no types

POINTS = tuple(itertools.product(ORDINARY, (0.3, 0.8)))
# What becomes of a target before anything else.
HARDENED: dict[str, Callable[[float], int]] = {
    "rounded": lambda y: int(y >= 0.5),
    "truncated": int,
}
# Without its absolute value a difference keeps its sign for this γ.
ODD = 3.0
PROBABILITIES = ((0.5, 0.25, 0.25), (0.125, 0.75, 0.125), (0.0625, 0.3125, 0.625))


def diagnose(evidence: Evidence) -> Iterator[Diagnosis]:
    """The rule that a port has, if it is not the one that it should."""
    if evidence.plan.record.classes:
        yield from _of_classes(evidence)
    elif evidence.plan.convention("soft_targets") != "hard":
        yield from _of_elements(evidence)


def _of_elements(evidence: Evidence) -> Iterator[Diagnosis]:
    rule = evidence.plan.convention("soft_targets")
    if evidence.plan.convention("form") != "FL":
        return
    gamma = evidence.gammas[-1]
    logits, targets = zip(*POINTS, strict=True)
    losses = evidence.ask(logits, targets, gamma, evidence.alpha)
    if losses is None:
        return
    for name in (rule, *readings.SOFT):
        if evidence.agrees(losses, _soft_losses(evidence, name, gamma)):
            if name != rule:
                yield Diagnosis(name, messages.SOFT[name])
            elif name == "quality":
                yield from _signed(evidence)
            return
    for name, harden in HARDENED.items():
        if evidence.agrees(losses, _hard_losses(evidence, harden, gamma)):
            yield Diagnosis(name, messages.SOFT[name])
            return
    yield Diagnosis("soft_unknown", "soft targets follow none of the known rules")


def _signed(evidence: Evidence) -> Iterator[Diagnosis]:
    """A difference whose sign is lost for even γ alone."""
    if ODD not in evidence.gammas:
        return
    logits, targets = zip(*POINTS, strict=True)
    losses = evidence.ask(logits, targets, ODD, evidence.alpha)
    truth = np.array(_soft_losses(evidence, "quality", ODD))
    signs = np.sign(np.array(targets) - sigmoids(np.array(logits)))
    for sign, side in ((1, "above"), (-1, "below")):
        if evidence.agrees(losses, sign * signs * truth):
            message = f"{messages.SIGNED}: for γ = {ODD:g} it is negative where p is {side} y"
            yield Diagnosis("signed_quality", message)


def _soft_losses(evidence: Evidence, rule: str, gamma: float) -> list[float]:
    """The losses of a rule at the soft points, with α as the port declares it."""
    loss = readings.SOFT[rule]
    weight = readings.ALPHA[evidence.plan.convention("alpha")]
    alpha = evidence.alpha
    losses = []
    with mpmath.workdps(20):
        for logit, target in POINTS:
            z, y = mpf(logit), mpf(target)
            if alpha is None:
                value = loss(z, y, gamma)
            elif rule == "mixture":
                # Each of the two losses that are mixed has the α of its own class.
                one = weight(1, alpha) * readings.focal(z, gamma)
                zero = weight(0, alpha) * readings.focal(-z, gamma)
                value = y * one + (1 - y) * zero
            else:
                value = weight(y, alpha) * loss(z, y, gamma)
            losses.append(float(value))
    return losses


def _hard_losses(evidence: Evidence, harden: Callable[[float], int], gamma: float) -> list[float]:
    """The losses of the targets 0 and 1 that the soft ones become."""
    weight = readings.ALPHA[evidence.plan.convention("alpha")]
    losses: list[float] = []
    with mpmath.workdps(20):
        for logit, target in POINTS:
            y = harden(target)
            loss = readings.focal(readings.margin(mpf(logit), y), gamma)
            if evidence.alpha is not None:
                loss *= weight(y, evidence.alpha)
            losses.append(float(loss))
    return losses


Rule = Callable[[softmax.Row, tuple[float, ...], float], Real]


def mixture(row: softmax.Row, y: tuple[float, ...], gamma: float) -> Real:
    """The contract's: Σ y_c·f(u_c)."""
    return mpmath.fsum(share * softmax.focal(row, c, gamma) for c, share in enumerate(y))


def interpolated(row: softmax.Row, y: tuple[float, ...], gamma: float) -> Real:
    """One factor for the cross entropy, (1 − Σ y_c·p_c)^γ."""
    p = [mpmath.exp(-softmax.focal(row, c, 0.0)) for c in range(len(row))]
    p_t = mpmath.fsum(a * b for a, b in zip(y, p, strict=True))
    return (1 - p_t) ** gamma * mixture(row, y, 0.0)


def of_cross_entropy(row: softmax.Row, y: tuple[float, ...], gamma: float) -> Real:
    ce = mixture(row, y, 0.0)
    return (-mpmath.expm1(-ce)) ** gamma * ce


def most_probable(row: softmax.Row, y: tuple[float, ...], gamma: float) -> Real:
    return softmax.focal(row, y.index(max(y)), gamma)


RULES: dict[str, Rule] = {
    "mixture": mixture,
    "interpolated_classes": interpolated,
    "exp_ce": of_cross_entropy,
    "argmax": most_probable,
    "truncated": lambda row, y, gamma: mpf(0),
}


def _of_classes(evidence: Evidence) -> Iterator[Diagnosis]:
    if evidence.alpha is not None:
        return
    gamma = evidence.gammas[-1]
    losses = evidence.ask(softmax.ROWS, PROBABILITIES, gamma, None)
    if losses is None:
        return
    pairs = list(zip(softmax.ROWS, PROBABILITIES, strict=True))
    for name, rule in RULES.items():
        with mpmath.workdps(20):
            expected = [float(rule(row, y, gamma)) for row, y in pairs]
        if evidence.agrees(losses, expected):
            if name != "mixture":
                yield Diagnosis(name, messages.SOFT[name])
            return
    yield Diagnosis("soft_unknown", "class probabilities follow none of the known rules")

"""The formula that a softmax port has, found by its losses at ordinary rows of logits."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import mpmath

from parity_tests.checker.layers.batch import CLASS_WEIGHTS
from parity_tests.checker.layers.problems import usual_gammas
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import GRADIENT
from parity_tests.truth import oracle, readings

from . import messages
from .evidence import DETACHED, NO_GRADIENT, WRONG_GRADIENT, Diagnosis, Evidence

Real = Any  # an mpf; mpmath has no types
Row = tuple[Real, ...]
Loss = Callable[[Row, int, float], Real]

ROWS = ((0.5, -1.0, 0.25), (2.0, 0.5, -0.75), (-1.5, 0.0, 1.0))
POINTS = tuple(itertools.product(ROWS, range(3)))
LOGITS, IDS = zip(*POINTS, strict=True)


def _margin(row: Row, t: int) -> Real:
    """How far class t is ahead of the others together."""
    others = [mpmath.exp(x) for c, x in enumerate(row) if c != t]
    return mpmath.mpf(row[t]) - mpmath.log(sum(others))


def focal(row: Row, t: int, gamma: float) -> Real:
    return readings.focal(_margin(row, t), gamma)


def one_against_all(row: Row, t: int, gamma: float) -> Real:
    total = mpmath.mpf(0)
    for c, x in enumerate(row):
        margin = x if c == t else -x
        total += readings.focal(mpmath.mpf(margin), gamma)
    return total


def softmax_twice(row: Row, t: int, gamma: float) -> Real:
    exponentials = [mpmath.exp(x) for x in row]
    total = sum(exponentials)
    return focal(tuple(x / total for x in exponentials), t, gamma)


WRONG: dict[str, Loss] = {
    "sigmoid": lambda row, t, g: readings.focal(mpmath.mpf(row[t]), g),
    "one_against_all": one_against_all,
    "one_against_all_mean": lambda row, t, g: one_against_all(row, t, g) / len(row),
    "gamma_ignored": lambda row, t, g: focal(row, t, 0),
    "gamma_plus_one": lambda row, t, g: focal(row, t, g + 1),
    "modulator_of_p_t": lambda row, t, g: readings.sigmoid(_margin(row, t)) ** g * focal(row, t, 0),
    "softmax_twice": softmax_twice,
    "negated": lambda row, t, g: -focal(row, t, g),
}


def diagnose(evidence: Evidence) -> Iterator[Diagnosis]:
    if evidence.alpha is not None:
        return
    gammas = usual_gammas(evidence.plan, (2.0, 0.5))
    answers = {g: evidence.ask(LOGITS, IDS, g, None) for g in gammas}

    def fits(loss: Loss) -> bool:
        return all(evidence.agrees(losses, _predicted(loss, g)) for g, losses in answers.items())

    if fits(focal):
        yield from _class_weights(evidence, gammas[0])
        if evidence.differentiates():
            yield from _slope(evidence, gammas[0])
        return
    if _counts_from_one(evidence, gammas):
        message = "your labels are those from 1 to C: say --give targets=one-based"
        yield Diagnosis("labels_from_one", message)
        return
    for name, loss in WRONG.items():
        if fits(loss):
            yield Diagnosis(name, messages.FORM[name])
            return
    yield Diagnosis("unknown", f"your loss is none of the known formulas at γ = {gammas[0]:g}")


def _counts_from_one(evidence: Evidence, gammas: list[float]) -> bool:
    """Whether the losses are right for labels from 1 to C."""
    port = evidence.subject
    if not isinstance(port, PythonPort) or "targets" in port.form.given:
        return False
    given = {**port.form.given, "targets": "one-based"}
    asked = Evidence(replace(port, form=replace(port.form, given=given)), evidence.plan)
    for gamma in gammas:
        losses = asked.ask(LOGITS, IDS, gamma, None)
        if not evidence.agrees(losses, _predicted(focal, gamma)):
            return False
    return True


def _class_weights(evidence: Evidence, gamma: float) -> Iterator[Diagnosis]:
    """p_t is exp(−CE), and stays it where the cross entropy is weighted."""
    if not gamma or not evidence.subject.takes("alpha"):
        return

    def weighted_p_t(row: Row, t: int, g: float) -> Real:
        weighted = CLASS_WEIGHTS[t] * focal(row, t, 0)
        return (1 - mpmath.exp(-weighted)) ** g * weighted

    answers = evidence.ask(LOGITS, IDS, gamma, list(CLASS_WEIGHTS))
    if evidence.agrees(answers, _predicted(weighted_p_t, gamma)):
        yield Diagnosis("weighted_p_t", messages.WEIGHTED_P_T)


def _predicted(loss: Loss, gamma: float) -> list[float]:
    with mpmath.workdps(20):
        return [float(loss(row, t, gamma)) for row, t in POINTS]


def _slope(evidence: Evidence, gamma: float) -> Iterator[Diagnosis]:
    """A gradient that is not the derivative of the loss, although the loss is right."""
    grads = evidence.ask(LOGITS, IDS, gamma, None, GRADIENT)
    expected: list[list[float]] = []
    detached: list[list[float]] = []
    for row, t in POINTS:
        with mpmath.workdps(30):
            # Without the derivative of (1 − p_t)^γ, the gradient is that of cross entropy times it.
            factor = readings.sigmoid(-_margin(row, t)) ** gamma
            cross_entropy = _gradient(row, t, 0.0)
            expected.append([float(x) for x in _gradient(row, t, gamma)])
            detached.append([float(factor * x) for x in cross_entropy])
    if grads is None:
        yield NO_GRADIENT
    elif evidence.agrees(grads, detached) and gamma:
        yield DETACHED
    elif not evidence.agrees(grads, expected):
        yield WRONG_GRADIENT


def _gradient(row: Row, t: int, gamma: float) -> list[Real]:
    one_hot = [float(c == t) for c in range(len(row))]
    jet = oracle.softmax_focal_loss(row, one_hot, None, gamma)
    return [jet[(f"logits{c}",)].value for c in range(len(row))]

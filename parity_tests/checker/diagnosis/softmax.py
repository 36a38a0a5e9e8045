"""The formula that a softmax port has, found by its losses at ordinary rows of logits."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np

from parity_tests.ports.subject import GRADIENT
from parity_tests.truth import oracle, readings

from .evidence import Diagnosis, Evidence

ROWS = ((0.5, -1.0, 0.25), (2.0, 0.5, -0.75), (-1.5, 0.0, 1.0))
POINTS = tuple(itertools.product(ROWS, range(3)))
Real = Any


def _margin(row: tuple[float, ...], t: int) -> Real:
    others = [mpmath.mpf(x) for c, x in enumerate(row) if c != t]
    return mpmath.mpf(row[t]) - mpmath.log(sum(mpmath.exp(x) for x in others))


def _one_against_all(row: tuple[float, ...], t: int, g: float) -> list[Real]:
    return [readings.focal(mpmath.mpf(x if c == t else -x), g) for c, x in enumerate(row)]


FORM: dict[str, tuple[str, Callable[[tuple[float, ...], int, float], Real]]] = {
    "FL": ("", lambda row, t, g: readings.focal(_margin(row, t), g)),
    "sigmoid": (
        "your loss is a sigmoid of the true logit alone: the other classes do not enter",
        lambda row, t, g: _one_against_all(row, t, g)[t],
    ),
    "one_against_all": (
        "your loss is the sum of one sigmoid loss per class, not a softmax",
        lambda row, t, g: sum(_one_against_all(row, t, g)),
    ),
    "one_against_all_mean": (
        "your loss is the mean of one sigmoid loss per class, not a softmax",
        lambda row, t, g: sum(_one_against_all(row, t, g)) / len(row),
    ),
    "gamma_ignored": (
        "your gamma has no effect: this is cross entropy",
        lambda row, t, g: readings.focal(_margin(row, t), 0),
    ),
    "gamma_plus_one": (
        "your exponent is γ + 1",
        lambda row, t, g: readings.focal(_margin(row, t), g + 1),
    ),
    "modulator_of_p_t": (
        "your modulating factor is p_t^γ, not (1 − p_t)^γ",
        lambda row, t, g: (
            readings.sigmoid(_margin(row, t)) ** g * readings.focal(_margin(row, t), 0)
        ),
    ),
    "exp_of_minus_margin": (
        "your softmax is taken twice",
        lambda row, t, g: readings.focal(_margin(_softmax(row), t), g),
    ),
    "negated": (
        "your loss has the wrong sign",
        lambda row, t, g: -readings.focal(_margin(row, t), g),
    ),
}


def _softmax(row: tuple[float, ...]) -> tuple[Real, ...]:
    parts = [mpmath.exp(x) for x in row]
    return tuple(part / sum(parts) for part in parts)


def diagnose(evidence: Evidence) -> Iterator[Diagnosis]:
    if evidence.alpha is not None:
        return
    rows, ids = zip(*POINTS, strict=True)
    chosen = [g for g in (2.0, 0.5) if g in evidence.gammas] or list(evidence.gammas[:1])
    answers = {g: evidence.ask(rows, list(ids), g, None) for g in chosen}
    fits = [
        name
        for name in FORM
        if all(evidence.agrees(answers[g], _predicted(name, g)) for g in chosen)
    ]
    if not fits:
        yield Diagnosis("unknown", f"your loss is none of the known formulas at γ = {chosen[0]:g}")
    elif fits[0] != "FL":
        yield Diagnosis(fits[0], FORM[fits[0]][0])
    elif evidence.differentiates():
        yield from _slope(evidence, chosen[0])


def _predicted(name: str, gamma: float) -> list[float]:
    with mpmath.workdps(20):
        return [float(FORM[name][1](row, t, gamma)) for row, t in POINTS]


def _slope(evidence: Evidence, gamma: float) -> Iterator[Diagnosis]:
    """A gradient that is not the derivative of the loss, although the loss is right."""
    rows, ids = zip(*POINTS, strict=True)
    got = evidence.ask(rows, list(ids), gamma, None, GRADIENT)
    truth, detached = [], []
    for row, t in POINTS:
        one_hot = [float(c == t) for c in range(3)]
        with mpmath.workdps(30):
            full, plain = (oracle.softmax_focal_loss(row, one_hot, None, g) for g in (gamma, 0.0))
            factor = readings.sigmoid(-_margin(row, t)) ** gamma
        truth.append([float(full[(f"logits{c}",)].value) for c in range(3)])
        detached.append([float(factor * plain[(f"logits{c}",)].value) for c in range(3)])
    if got is None:
        yield Diagnosis("no_gradient", "your loss cannot be differentiated in its logits")
    elif evidence.agrees(got, detached) and gamma:
        yield Diagnosis(
            "detached", "you detach p_t: the gradient lacks the derivative of (1 − p_t)^γ"
        )
    elif not evidence.agrees(got, np.array(truth)):
        yield Diagnosis("gradient", "your gradient is not the derivative of your loss")

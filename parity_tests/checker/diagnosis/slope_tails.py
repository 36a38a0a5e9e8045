"""Gradients that are not finite, or vanish, from some logit on."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from parity_tests.checker.layers.problems import usual_gammas
from parity_tests.ports.subject import GRADIENT

from .climb import CLASSES, ORDINARY, Climb, Fault, climb, far, first
from .evidence import Diagnosis, Evidence


class Lost(NamedTuple):
    """Where the gradient of a γ first is not finite, on one side of a class."""

    gamma: float
    side: int
    climb: Climb
    row: int

    @property
    def distance(self) -> float:
        return abs(float(self.climb.margins[self.row]))


def not_finite(evidence: Evidence) -> Iterator[Fault]:
    gammas = usual_gammas(evidence.plan, (0.0, 0.5, 1.0, 2.0))
    all_lost: list[Lost] = []
    for gamma, target, side in itertools.product(gammas, CLASSES, (1, -1)):
        found = climb(evidence, side * far(evidence), gamma, target, GRADIENT)
        lost = None if found is None else first(~np.isfinite(found.answers))
        if found is not None and lost is not None and _is_right_before(evidence, found, lost):
            all_lost.append(Lost(gamma, side, found, lost))
    if not all_lost:
        return
    nearest = min(all_lost, key=lambda lost: lost.distance)
    word = "NaN" if np.isnan(nearest.climb.answers[nearest.row]) else "inf"
    place = nearest.climb.place(nearest.row)
    message = f"your gradient is {word} {place}, for γ = {nearest.gamma:g}"
    if nearest.side > 0 and _is_of_the_power(nearest, all_lost):
        message += ": the power rule needs (1 − p_t)^(γ − 1)"
    yield Fault(nearest.distance, Diagnosis("nan_gradient", message))


def _is_right_before(evidence: Evidence, found: Climb, lost: int) -> bool:
    """Whether the gradient is that of the loss at the logits before, as far as it is known."""
    return lost < ORDINARY.stop or found.scaled(evidence) is not None


def _is_of_the_power(nearest: Lost, all_lost: list[Lost]) -> bool:
    """Whether γ ≥ 1, which has no power below 0, is finite there."""
    if nearest.gamma >= 1:
        return False
    place = (nearest.side, nearest.climb.target)
    for lost in all_lost:
        is_there = (lost.side, lost.climb.target) == place and lost.distance <= nearest.distance
        if lost.gamma > 1 and is_there:
            return False
    return True


def dead(evidence: Evidence) -> Iterator[Fault]:
    """Gradients that vanish where an example is badly missed."""
    gamma = usual_gammas(evidence.plan, (2.0,))[0]
    for target in CLASSES:
        found = climb(evidence, -far(evidence), gamma, target, GRADIENT)
        scaled = found and found.scaled(evidence)
        gone = None
        if scaled:
            gone = first(np.abs(scaled.answers) <= 0.01 * np.abs(scaled.truth))
        if scaled and gone is not None:
            message = f"your gradient is 0 {scaled.place(gone)}"
            if _is_lost(evidence, gamma, target, gone):
                message += ": p is clipped there"
            yield Fault(-scaled.margins[gone], Diagnosis("dead_gradient", message))


def _is_lost(evidence: Evidence, gamma: float, target: int, row: int) -> bool:
    """Whether the loss is lost there, too, or soon after."""
    found = climb(evidence, -far(evidence), gamma, target)
    scaled = found and found.scaled(evidence)
    return bool(scaled and scaled.is_off(evidence)[row : row + 9].any())

"""Losses and gradients of one class at growing margins."""

from typing import NamedTuple

import numpy as np

from parity_tests.contract.grid import rounded
from parity_tests.ports.subject import VALUE
from parity_tests.truth import float64

from .evidence import Diagnosis, Evidence

EASY = np.arange(0, 90.01, 0.125)
# As many as the others: JAX compiles every operation for each length.
FAR = np.concatenate([np.arange(0, 120.01, 0.25), np.arange(120.5, 357), [1000.0, 3000.0, 1e4]])
# exp overflows float64 at 710.
FARTHER = np.concatenate([np.arange(0, 120.01, 0.25), np.arange(120.5, 760), [1000.0, 1e4]])
# The first of each, which are ordinary logits.
ORDINARY = slice(0, 9)
# By which part a number is off, that is more than rounding in its dtype.
LOST = {"float64": 0.01, "float32": 0.01, "float16": 0.01, "bfloat16": 0.05}
CLASSES = (1, 0)


class Climb(NamedTuple):
    """What a class gives at growing margins. Slopes are those in the margin."""

    target: int
    margins: np.ndarray
    answers: np.ndarray
    truth: np.ndarray

    def scaled(self, evidence: Evidence) -> "Climb | None":
        """The answers over their common factor (α), if they have one at ordinary logits."""
        answers, truth = self.answers[ORDINARY], self.truth[ORDINARY]
        if not np.all(np.isfinite(answers)):
            return None
        factors = answers / truth
        factor = np.mean(factors)
        if not factor or not evidence.is_constant(factors, slack=10):
            return None
        return self._replace(answers=self.answers / factor)

    def place(self, index: int) -> str:
        """From which logit on."""
        logit = float(self.margins[index])
        if not self.target:
            logit = -logit
        side = "above" if logit > 0 else "below"
        return f"{side} logit {logit:.4g}, target {self.target}"

    def is_off(self, evidence: Evidence) -> np.ndarray:
        """Where the answers are off by more than rounding, or NaN."""
        allowed = LOST[evidence.plan.dtype] * np.abs(self.truth)
        return ~(np.abs(self.answers - self.truth) <= allowed)


class Fault(NamedTuple):
    """A diagnosis, and how far from 0 its first logit is."""

    distance: float
    diagnosis: Diagnosis


def far(evidence: Evidence) -> np.ndarray:
    return FARTHER if evidence.plan.dtype == "float64" else FAR


def climb(
    evidence: Evidence, margins: np.ndarray, gamma: float, target: int, order: int = VALUE
) -> Climb | None:
    """The losses of a class at these margins, or their slopes."""
    dtype = evidence.plan.dtype
    margins = rounded(margins, dtype)
    ids = np.full(len(margins), target)
    classes = evidence.plan.record.classes
    points = _points(margins, target, classes)
    answers = evidence.ask(points, ids, gamma, evidence.alpha, order)
    if answers is None:
        return None
    if order and classes:
        answers = answers[:, target]
    elif order and not target:
        answers = -answers
    ones = np.ones(len(margins))
    loss, slope = float64.hard_focal(margins, ones, 1.0, gamma)
    return Climb(target, margins, answers, slope if order else loss)


def _points(margins: np.ndarray, target: int, classes: bool) -> np.ndarray:
    """The logits at which a class has these margins."""
    if not classes:
        return margins if target else -margins
    rows = np.zeros((len(margins), 2))
    rows[:, target] = margins
    return rows


def first(condition: np.ndarray) -> int | None:
    return int(np.argmax(condition)) if condition.any() else None


def percent(evidence: Evidence) -> str:
    return f"{100 * LOST[evidence.plan.dtype]:g} %"

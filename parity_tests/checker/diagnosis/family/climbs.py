"""Losses and gradients of the family at growing logits of both classes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from parity_tests.checker.diagnosis.climb import LOST, Fault
from parity_tests.checker.diagnosis.evidence import Diagnosis, Evidence
from parity_tests.contract.tolerances import SMALLEST_NORMAL
from parity_tests.ports import family_questions

from .formulas import Formula, Settings, slope
from .ordinary import ask

# Beyond ordinary logits, and beyond the logits of all usual shifts.
DISTANCES = np.concatenate([np.arange(4, 40, 0.25), np.arange(40, 121), [1000.0]])
CLASSES = (1.0, 0.0)


class Climb(NamedTuple):
    """What a class gives at growing distances, where it is missed or where it is easy."""

    dtype: str
    settings: Settings
    target: int
    is_missed: bool
    logits: np.ndarray
    losses: np.ndarray
    truth: np.ndarray
    # None where the port has none.
    grads: np.ndarray | None
    slopes: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Where the loss is a normal number of the dtype."""
        return np.abs(self.truth) > 4 * SMALLEST_NORMAL[self.dtype]

    @property
    def off(self) -> np.ndarray:
        """Where the loss is wrong by more than rounding, or NaN."""
        allowed = LOST[self.dtype] * np.abs(self.truth)
        return self.known & ~(np.abs(self.losses - self.truth) <= allowed)

    def logit(self, row: int) -> str:
        logit = float(self.logits[row])
        return f"{'above' if logit > 0 else 'below'} logit {logit:.4g}".replace("-", "−")

    def place(self, row: int) -> str:
        """From which logit on."""
        return f"{self.logit(row)}, target {self.target}"

    def fault(self, row: int, name: str, message: str) -> Fault:
        return Fault(abs(float(self.logits[row])), Diagnosis(name, message))


def climbs(evidence: Evidence, formula: Formula, turn: int) -> Iterator[Climb]:
    """The four of a setting: each class on either side."""
    settings = family_questions.settings(evidence.plan, turn)
    far = np.concatenate([-DISTANCES, DISTANCES])
    z, y = np.tile(far, 2), np.repeat(CLASSES, len(far))
    asked = ask(evidence, z, y, settings)
    if asked is None:
        return
    truth = formula(asked.points, settings)
    slopes = slope(formula, asked.points, settings, asked.held)
    for number in range(4):
        rows = slice(number * len(DISTANCES), (number + 1) * len(DISTANCES))
        target, is_above = int(CLASSES[number // 2]), bool(number % 2)
        yield Climb(
            dtype=evidence.plan.dtype,
            settings=settings,
            target=target,
            is_missed=is_above != (target == 1),
            logits=asked.points.z[rows],
            losses=asked.losses[rows],
            truth=truth[rows],
            grads=None if asked.grads is None else asked.grads[rows],
            slopes=slopes[rows],
        )

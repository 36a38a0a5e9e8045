"""What a diagnosis asks of a port: losses and gradients at points of its own choosing."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.exact import sigmoids
from parity_tests.contract.grid import rounded
from parity_tests.contract.problems import Problem
from parity_tests.ports.questions import gammas
from parity_tests.ports.subject import GRADIENT, VALUE, Plan, PortError, Subject

# How near a port has to come to a reading to be one: far above rounding, far below the difference
# of two readings.
NEAR = {"float64": 1e-6, "float32": 2e-4, "float16": 0.02, "bfloat16": 0.06}


class Diagnosis(NamedTuple):
    """One sentence about a port, with a short name for tables."""

    name: str
    says: str


@dataclass(frozen=True)
class Evidence:
    subject: Subject
    plan: Plan

    @property
    def near(self) -> float:
        return NEAR[self.plan.dtype]

    @cached_property
    def gammas(self) -> tuple[float, ...]:
        return gammas(self.plan)

    @property
    def alpha(self) -> Any:
        return self.plan.fixed.get("alpha", None if self.plan.record.classes else 0.25)

    def ask(
        self, logits: Any, targets: Any, gamma: float, alpha: Any, order: int = VALUE
    ) -> np.ndarray | None:
        """The port's answer at each logit (or row of logits) with its target; None where it raises
        an error."""
        points = np.asarray(logits, float)
        if self.plan.probabilities:
            points = sigmoids(points)
        targets = np.asarray(targets)
        if self.plan.record.classes:
            names, ids = tuple(f"logits{c}" for c in range(points.shape[1])), targets
        elif targets.dtype.kind == "f":
            names, ids, points = ("logits", "targets"), None, np.stack([points, targets], 1)
        else:
            names, ids, points = ("logits",), targets, points[:, None]
        constants = {"gamma": gamma} | (
            {} if self.plan.record.classes and alpha is None else {"alpha": alpha}
        )
        problem = Problem(
            self.plan.record.name,
            self.plan.dtype,
            names,
            rounded(points, self.plan.dtype),
            ids,
            constants,
        )
        try:
            return self.subject.answer(problem, order)
        except PortError:
            return None

    def differentiates(self) -> bool:
        return GRADIENT in self.subject.orders and not self.plan.probabilities

    def agrees(self, got: np.ndarray | None, expected: Any) -> bool:
        """Whether the answers are these numbers, as far as readings differ."""
        if got is None:
            return False
        truth = np.asarray(expected, float)
        return bool(np.all(np.abs(got - truth) <= self.near * np.abs(truth)))

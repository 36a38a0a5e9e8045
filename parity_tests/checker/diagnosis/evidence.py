"""What a diagnosis asks of a port: losses and gradients at points of its own choosing."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from parity_tests.checker.layers.problems import Alpha, hard_problem, usual_alpha
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
    message: str


NO_GRADIENT = Diagnosis("no_gradient", "your loss cannot be differentiated in its logits")
DETACHED = Diagnosis("detached", "you detach p_t: the gradient lacks the derivative of (1 − p_t)^γ")
WRONG_GRADIENT = Diagnosis("gradient", "your gradient is not the derivative of your loss")


@dataclass(frozen=True)
class Evidence:
    """A port, and the answers to what a diagnosis asks."""

    subject: Subject
    plan: Plan

    @property
    def near(self) -> float:
        return NEAR[self.plan.dtype]

    @cached_property
    def gammas(self) -> tuple[float, ...]:
        return gammas(self.plan)

    @property
    def alpha(self) -> Alpha:
        return usual_alpha(self.plan)

    @property
    def beta(self) -> float:
        return self.plan.fixed.get("beta", 0.0)

    def ask(
        self, logits: Any, targets: Any, gamma: float, alpha: Alpha, order: int = VALUE
    ) -> np.ndarray | None:
        """The port's answer at each logit (or row of logits) with its target; None where it raises
        an error."""
        points = np.asarray(logits, float)
        if self.plan.probabilities:
            points = sigmoids(points)
        points = rounded(points, self.plan.dtype)
        targets = np.asarray(targets)
        is_soft = targets.dtype.kind == "f"
        if is_soft:
            problem = self._soft_problem(points, targets, gamma, alpha)
        elif self.plan.record.classes:
            problem = hard_problem(self.plan, points, targets, gamma, alpha)
        else:
            problem = hard_problem(self.plan, points[:, None], targets, gamma, alpha)
        try:
            return self.subject.answer(problem, order)
        except PortError:
            return None

    def _soft_problem(
        self, logits: np.ndarray, targets: np.ndarray, gamma: float, alpha: Alpha
    ) -> Problem:
        arguments = {"logits": logits, "targets": rounded(targets, self.plan.dtype)}
        dtype = self.plan.dtype
        if not self.plan.record.classes:
            return Problem.sigmoid(dtype, arguments, gamma=gamma, alpha=alpha)
        constants: dict[str, Any] = {"gamma": gamma}
        if alpha is not None:
            constants["alpha"] = alpha
        return Problem.softmax(dtype, arguments, None, **constants)

    def differentiates(self) -> bool:
        return GRADIENT in self.subject.orders and not self.plan.probabilities

    def agrees(self, answers: np.ndarray | None, expected: Any) -> bool:
        """Whether the answers are these numbers, as far as readings differ."""
        if answers is None:
            return False
        truth = np.asarray(expected, float)
        errors = np.abs(answers - truth)
        return bool(np.all(errors <= self.near * np.abs(truth)))

    def is_constant(self, factors: np.ndarray, slack: float = 1.0) -> bool:
        """Whether these quotients of answers and truth are one factor."""
        values = factors.ravel().tolist()
        mean = sum(values) / len(values)
        spread = slack * self.near * abs(mean)
        return max(values) - min(values) <= spread

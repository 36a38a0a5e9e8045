"""What is judged: a port, and what it says it does. Everything above asks a `Subject` and knows no
framework."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.records import Record

VALUE, GRADIENT, SECOND = 0, 1, 2


class BadPortError(Exception):
    """The port cannot be judged as it was given: one line for the user that says what, and what to
    do."""


class PortError(Exception):
    """The port failed at one question; the others may still be asked."""


class RefusedError(PortError):
    """The port raised an error of its own. Where the contract leaves it the choice, that is an
    honest answer."""


class UnsupportedError(RefusedError):
    """The framework has no such operation for this dtype, which is no fault of the port."""


@dataclass(frozen=True)
class Plan:
    """What the user says of the port: fixed settings, conventions, and what it takes in place of
    logits."""

    record: Record
    dtype: str = "float32"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    conventions: Mapping[str, str] = field(default_factory=dict)
    probabilities: bool = False
    # Whether alpha=None may be asked; a port whose α is always a number refuses it.
    without_alpha: bool = True

    def convention(self, name: str) -> str:
        """The choice that the user declares, or else the contract's: "" where there is none."""
        if name in self.conventions:
            return self.conventions[name]
        if name in self.record.conventions:
            return next(iter(self.record.conventions[name].choices))
        return ""


class Subject(Protocol):
    """A port under judgement."""

    @property
    def title(self) -> str: ...

    def takes(self, argument: str) -> bool: ...

    @property
    def orders(self) -> tuple[int, ...]:
        """Which of value, gradient and second order the port has."""
        ...

    def answer(self, problem: Problem, order: int) -> np.ndarray:
        """For each sample the loss, its gradient in the logits, or its Hessian times
        `along(problem)`."""
        ...


def along(problem: Problem) -> np.ndarray:
    """The direction of second derivatives. Rows of a softmax's Hessian sum to 0, so it must not be
    constant."""
    return np.arange(1.0, len(logit_names(problem)) + 1)


def logit_names(problem: Problem) -> list[str]:
    return problem.columns("logits")

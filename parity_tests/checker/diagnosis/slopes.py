"""Of which loss a port's gradient is the derivative, beside what its value is."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from . import messages
from .evidence import DETACHED, NO_GRADIENT, WRONG_GRADIENT, Diagnosis, Evidence


class Setting(NamedTuple):
    gamma: float
    alpha: float | None


class Named(NamedTuple):
    """A loss by its name, with the gradient that it has under a setting."""

    name: str
    gradient: Callable[[Setting], np.ndarray]


@dataclass(frozen=True)
class Slopes:
    """A port's gradients at ordinary points; None where it raises an error."""

    evidence: Evidence
    answers: dict[Setting, np.ndarray | None]

    def fit(self, loss: Named) -> bool:
        """Whether they are the derivatives of this loss."""
        return all(
            self.evidence.agrees(grads, loss.gradient(setting))
            for setting, grads in self.answers.items()
        )

    def follow(self, value: Named, others: Iterable[Named]) -> Iterator[Diagnosis]:
        """What is said of them where the value is this loss: nothing, if they are its
        derivatives."""
        if not self.answers or self.fit(value):
            return
        if all(grads is None for grads in self.answers.values()):
            yield NO_GRADIENT
            return
        for other in others:
            if other.name != value.name and self.fit(other):
                yield different(f"that of {noun(value.name)}", f"that of {noun(other.name)}")
                return
        yield WRONG_GRADIENT

    def of_right_value(
        self, asked: Named, detached: Named, others: Iterable[Named]
    ) -> Iterator[Diagnosis]:
        """The same where the value is what was asked for."""
        if self.answers and not self.fit(asked):
            powers = [setting.gamma for setting in self.answers if setting.gamma]
            factor = self.factor(asked)
            if powers and self.fit(detached):
                yield DETACHED
                return
            if factor:
                message = f"your gradient is {factor:.6g} times the derivative"
                yield Diagnosis("gradient_factor", message)
                return
        yield from self.follow(asked, others)

    def factor(self, loss: Named) -> float:
        """The number by which all are too large, or 0."""
        ratios: list[np.ndarray] = []
        for setting, grads in self.answers.items():
            if grads is None:
                return 0.0
            ratios.append(np.ravel(grads / loss.gradient(setting)))
        together = np.concatenate(ratios)
        is_constant = np.isfinite(together).all() and self.evidence.is_constant(together)
        return float(np.mean(together)) if is_constant else 0.0

    def ignore_gamma(self) -> bool:
        """Whether they are the same for every γ, as far as there are any."""
        by_alpha: dict[float | None, np.ndarray | None] = {}
        for setting, grads in self.answers.items():
            first = by_alpha.setdefault(setting.alpha, grads)
            if first is not None and grads is not None and not np.array_equal(first, grads):
                return False
        return True


def different(value: str, gradient: str) -> Diagnosis:
    message = (
        "your value and your gradient belong to different losses: "
        f"the value is {value}, the gradient {gradient}"
    )
    return Diagnosis("different_losses", message)


def noun(name: str) -> str:
    return messages.NOUN.get(name, name.replace("_", " "))

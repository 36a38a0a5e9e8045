"""What is known of a mistake, and all of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from jax import Array

from .probes import FamilyProbe, Probe, Reduced, Refuses, SoftmaxProbe

Loss = Callable[..., Array]
Control = Probe | SoftmaxProbe | FamilyProbe | Reduced


@dataclass(frozen=True)
class Mistake:
    """A wrong loss, the function of the contract that it wants to be, and how it is told from that.

    `reason` is a part of the message that it has to be rejected with. `fixed` and `conventions` are
    what somebody would say of it to the checker.
    """

    loss: Loss
    function: str
    control: Control
    probe: Control | Refuses
    reason: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    conventions: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.loss.__name__

    @property
    def options(self) -> dict[str, Any]:
        """What the checker is asked with."""
        return {
            "port": self.loss,
            "function": self.function,
            "framework": "jax",
            "fixed": self.fixed,
            "conventions": self.conventions,
        }

    @property
    def module(self) -> SimpleNamespace:
        """As a port has it: a module with the one function."""
        return SimpleNamespace(**{self.function: self.loss})


# By the name of the wrong loss.
MISTAKES: dict[str, Mistake] = {}


def mistake(
    function: str, *, control: Control, probe: Control | Refuses, reason: str, **said: Any
) -> Callable[[Loss], Loss]:
    """Add a loss to the mistakes, with what is said of it."""

    def add(loss: Loss) -> Loss:
        MISTAKES[loss.__name__] = Mistake(loss, function, control, probe, reason, **said)
        return loss

    return add

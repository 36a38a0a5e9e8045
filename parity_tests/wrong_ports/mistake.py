"""What is known of a mistake, and all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

from jax import Array

from .probes import Probe, Reduced, Refuses, SoftmaxProbe

Loss = Callable[..., Array]
Control = Probe | SoftmaxProbe | Reduced


@dataclass(frozen=True)
class Mistake:
    """A wrong loss, the function of the contract that it wants to be, and how it is told from that.

    `reason` is a part of the message that it has to be rejected with.
    """

    loss: Loss
    function: str
    control: Control
    probe: Control | Refuses
    reason: str

    @property
    def name(self) -> str:
        return self.loss.__name__

    @property
    def module(self) -> SimpleNamespace:
        """As a port has it: a module with the one function."""
        return SimpleNamespace(**{self.function: self.loss})


# By the name of the wrong loss.
MISTAKES: dict[str, Mistake] = {}


def mistake(
    function: str, *, control: Control, probe: Control | Refuses, reason: str
) -> Callable[[Loss], Loss]:
    """Add a loss to the mistakes."""

    def add(loss: Loss) -> Loss:
        MISTAKES[loss.__name__] = Mistake(loss, function, control, probe, reason)
        return loss

    return add

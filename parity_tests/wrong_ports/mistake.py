"""What is known of a mistake."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from .probes import Probe, Reduced, Refuses, SoftmaxProbe


@dataclass(frozen=True)
class Mistake:
    """A wrong loss, the function of the contract that it wants to be, and how it is told from that.

    `reason` is a part of the message that it has to be rejected with.
    """

    loss: Callable[..., Any]
    function: str
    control: Probe | SoftmaxProbe | Reduced
    probe: Probe | SoftmaxProbe | Reduced | Refuses
    reason: str

    @property
    def name(self) -> str:
        return self.loss.__name__

    @property
    def module(self) -> SimpleNamespace:
        """As a port has it: a module with the one function."""
        return SimpleNamespace(**{self.function: self.loss})

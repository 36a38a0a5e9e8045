"""Who is timed: one record per contender, every loss with γ = 2, α = 0.25 for a sigmoid, and
summed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import kornia.losses
import optax
import torch
import torch.nn.functional as F  # noqa: N812 (the name that PyTorch's own pages give it)

import focal_jax
import focal_torch
from parity_tests.checker.audit.formulas import torchvision

from .cases import SIGMOID, SOFTMAX

ALPHA, GAMMA = 0.25, 2.0
JIT, EAGER, COMPILED = "jit", "eager", "compiled"
OURS, PEER, FLOOR = "ours", "focal loss of others", "cross entropy, without focal"
LIMIT = "limit of the memory"
# Ours take labels as they are, integers or booleans, and once more the floats that the peers need.
LABELS = ("int", "bool", "float")

# A loss of logits and targets, which are arrays of either framework.
Call = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Contender:
    """A loss as its users call it: its name, how it is run, what kind of targets it is given."""

    name: str
    way: str
    targets: str
    role: str
    call: Call

    @property
    def framework(self) -> str:
        return "jax" if self.way == JIT else "torch"

    @property
    def label(self) -> str:
        label = f"{self.name}, {self.way}"
        if self.role == OURS and self.targets in ("bool", "float"):
            return f"{label}, {self.targets} targets"
        return label


def _jax_sigmoid(z: Any, y: Any) -> Any:
    return focal_jax.sigmoid_focal_loss(z, y, alpha=ALPHA, gamma=GAMMA, reduction="sum")


def _torch_sigmoid(z: Any, y: Any) -> Any:
    return focal_torch.sigmoid_focal_loss(z, y, alpha=ALPHA, gamma=GAMMA, reduction="sum")


def _optax_sigmoid(z: Any, y: Any) -> Any:
    return optax.sigmoid_focal_loss(z, y, alpha=ALPHA, gamma=GAMMA).sum()


def _torchvision(z: Any, y: Any) -> Any:
    return torchvision(z, y, ALPHA, GAMMA).sum()


def _kornia_sigmoid(z: Any, y: Any) -> Any:
    return kornia.losses.binary_focal_loss_with_logits(z, y, ALPHA, GAMMA, "sum")


def _optax_bce(z: Any, y: Any) -> Any:
    return optax.sigmoid_binary_cross_entropy(z, y).sum()


def _torch_bce(z: Any, y: Any) -> Any:
    return F.binary_cross_entropy_with_logits(z, y, reduction="sum")


def _jax_softmax(z: Any, y: Any) -> Any:
    return focal_jax.softmax_focal_loss(z, y, reduction="sum")


def _torch_softmax(z: Any, y: Any) -> Any:
    return focal_torch.softmax_focal_loss(z, y, reduction="sum")


def _kornia_softmax(z: Any, y: Any) -> Any:
    return kornia.losses.focal_loss(z, y, None, GAMMA, "sum")


def _optax_ce(z: Any, y: Any) -> Any:
    return optax.softmax_cross_entropy_with_integer_labels(z, y).sum()


def _torch_ce(z: Any, y: Any) -> Any:
    return F.cross_entropy(z, y, reduction="sum")


def _both(name: str, targets: str, role: str, call: Call) -> Iterator[Contender]:
    """Eager and compiled."""
    yield Contender(name, EAGER, targets, role, call)
    yield Contender(name, COMPILED, targets, role, call)


def _copies(targets: str) -> Iterator[Contender]:
    yield Contender("JAX copy", JIT, targets, LIMIT, lambda z, _: jnp.copy(z))
    yield Contender("PyTorch copy", EAGER, targets, LIMIT, lambda z, _: z.clone())


def _triads() -> Iterator[Contender]:
    """They read two arrays and write one, as a loss with its gradient does."""
    yield Contender("JAX triad", JIT, "float", LIMIT, lambda x, y: 3.0 * x + y)
    yield Contender("PyTorch triad", EAGER, "float", LIMIT, lambda x, y: torch.add(y, x, alpha=3.0))


def _sigmoids() -> Iterator[Contender]:
    for targets in LABELS:
        yield Contender("focal_jax", JIT, targets, OURS, _jax_sigmoid)
    yield Contender("optax", JIT, "float", PEER, _optax_sigmoid)
    yield Contender("optax BCE", JIT, "float", FLOOR, _optax_bce)
    for targets in LABELS:
        yield from _both("focal_torch", targets, OURS, _torch_sigmoid)
    yield from _both("torchvision's formula", "float", PEER, _torchvision)
    yield Contender("kornia", EAGER, "float", PEER, _kornia_sigmoid)
    yield from _both("PyTorch BCE", "float", FLOOR, _torch_bce)
    yield from _copies("float")
    yield from _triads()


def _softmaxes() -> Iterator[Contender]:
    yield Contender("focal_jax", JIT, "ids", OURS, _jax_softmax)
    yield Contender("optax CE", JIT, "ids", FLOOR, _optax_ce)
    yield from _both("focal_torch", "ids", OURS, _torch_softmax)
    yield Contender("kornia", EAGER, "ids", PEER, _kornia_softmax)
    yield from _both("PyTorch CE", "ids", FLOOR, _torch_ce)
    yield from _copies("ids")


CONTENDERS = {SIGMOID: tuple(_sigmoids()), SOFTMAX: tuple(_softmaxes())}

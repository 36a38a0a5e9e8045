"""Who is timed: one record per contender, every loss with γ = 2, α = 0.25 for a sigmoid, and
summed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import kornia.losses
import optax
import torch
import torch.nn.functional as F  # noqa: N812

import focal_jax
import focal_torch
from parity_tests.checker.audit.formulas import torchvision

from .cases import SIGMOID, SOFTMAX

ALPHA, GAMMA = 0.25, 2.0
JIT, EAGER, COMPILED = "jit", "eager", "compiled"
OURS, PEER, FLOOR, LIMIT = (
    "ours",
    "focal loss of others",
    "cross entropy, without focal",
    "limit of the memory",
)


@dataclass(frozen=True)
class Contender:
    """A loss as its users call it: its name, how it is run, what kind of targets it is given."""

    name: str
    way: str
    targets: str
    role: str
    call: Callable[[Any, Any], Any]

    @property
    def framework(self) -> str:
        return "jax" if self.way == JIT else "torch"

    @property
    def label(self) -> str:
        other = (
            f", {self.targets} targets"
            if self.role == OURS and self.targets in ("bool", "float")
            else ""
        )
        return f"{self.name}, {self.way}{other}"


def _ours(library: Any) -> Callable[[Any, Any], Any]:
    return lambda z, y: library.sigmoid_focal_loss(z, y, alpha=ALPHA, gamma=GAMMA, reduction="sum")


def _optax_focal(z: Any, y: Any) -> Any:
    return optax.sigmoid_focal_loss(z, y, alpha=ALPHA, gamma=GAMMA).sum()


def _torchvision(z: Any, y: Any) -> Any:
    return torchvision(z, y, ALPHA, GAMMA).sum()


def _kornia_sigmoid(z: Any, y: Any) -> Any:
    return kornia.losses.binary_focal_loss_with_logits(z, y, ALPHA, GAMMA, "sum")


def _kornia_softmax(z: Any, y: Any) -> Any:
    return kornia.losses.focal_loss(z, y, None, GAMMA, "sum")


def _both(
    name: str, targets: str, role: str, call: Callable[[Any, Any], Any]
) -> tuple[Contender, Contender]:
    return Contender(name, EAGER, targets, role, call), Contender(
        name, COMPILED, targets, role, call
    )


def _copies(targets: str) -> tuple[Contender, Contender]:
    return (
        Contender("JAX copy", JIT, targets, LIMIT, lambda z, _: jnp.copy(z)),
        Contender("PyTorch copy", EAGER, targets, LIMIT, lambda z, _: z.clone()),
    )


# Ours take labels as they are, integers or booleans, and once more the floats that the peers need.
SIGMOIDS = (
    *(
        Contender("focal_jax", JIT, targets, OURS, _ours(focal_jax))
        for targets in ("int", "bool", "float")
    ),
    Contender("optax", JIT, "float", PEER, _optax_focal),
    Contender(
        "optax BCE",
        JIT,
        "float",
        FLOOR,
        lambda z, y: optax.sigmoid_binary_cross_entropy(z, y).sum(),
    ),
    *(
        one
        for targets in ("int", "bool", "float")
        for one in _both("focal_torch", targets, OURS, _ours(focal_torch))
    ),
    *_both("torchvision's formula", "float", PEER, _torchvision),
    Contender("kornia", EAGER, "float", PEER, _kornia_sigmoid),
    *_both(
        "PyTorch BCE",
        "float",
        FLOOR,
        lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="sum"),
    ),
    *_copies("float"),
    # Reads two arrays and writes one, as a loss with its gradient does.
    Contender("JAX triad", JIT, "float", LIMIT, lambda x, y: 3.0 * x + y),
    Contender("PyTorch triad", EAGER, "float", LIMIT, lambda x, y: torch.add(y, x, alpha=3.0)),
)
SOFTMAXES = (
    Contender(
        "focal_jax",
        JIT,
        "ids",
        OURS,
        lambda z, y: focal_jax.softmax_focal_loss(z, y, reduction="sum"),
    ),
    Contender("optax CE", JIT, "ids", FLOOR, lambda z, y: _optax_ce(z, y).sum()),
    *_both(
        "focal_torch",
        "ids",
        OURS,
        lambda z, y: focal_torch.softmax_focal_loss(z, y, reduction="sum"),
    ),
    Contender("kornia", EAGER, "ids", PEER, _kornia_softmax),
    *_both("PyTorch CE", "ids", FLOOR, lambda z, y: F.cross_entropy(z, y, reduction="sum")),
    *_copies("ids"),
)
CONTENDERS = {SIGMOID: SIGMOIDS, SOFTMAX: SOFTMAXES}


def _optax_ce(z: Any, y: Any) -> Any:
    return optax.softmax_cross_entropy_with_integer_labels(z, y)

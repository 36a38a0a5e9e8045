"""Softmax losses that differ from the paper's in one line."""

import jax
import jax.numpy as jnp
from jax import Array

from parity_tests.contract.tolerances import GRADIENT

from .mistake import Mistake
from .probes import SoftmaxProbe


def of_target(rows: Array, targets: Array, axis: int) -> Array:
    return jnp.take_along_axis(rows, targets[..., None], axis)[..., 0]


def sigmoid_for_softmax(
    logits: Array, targets: Array, *, gamma: float = 2.0, axis: int = -1
) -> Array:
    """ "Multi-class" is a sigmoid of the true logit alone, which the other classes do not enter
    (smp, catalyst)."""
    u = of_target(logits, targets, axis)
    return jax.nn.sigmoid(-u) ** gamma * jax.nn.softplus(-u)


def softmax_clipped(logits: Array, targets: Array, *, gamma: float = 2.0, axis: int = -1) -> Array:
    """p is clipped before the logarithm: wrong by 60 nats costs 16, with gradient 0."""
    p = jnp.clip(of_target(jax.nn.softmax(logits, axis), targets, axis), 1e-7, 1.0)
    return -((1 - p) ** gamma) * jnp.log(p)


def softmax_through_log_p(
    logits: Array, targets: Array, *, gamma: float = 2.0, axis: int = -1
) -> Array:
    """1 − exp(log p_t): the softmax form of the subtraction, exactly 0 from a margin of 17 (every
    public version)."""
    log_p = of_target(jax.nn.log_softmax(logits, axis), targets, axis)
    return -((1 - jnp.exp(log_p)) ** gamma) * log_p


SOFTMAX = "softmax_focal_loss"
MISTAKES = [
    Mistake(
        sigmoid_for_softmax,
        SOFTMAX,
        control=SoftmaxProbe(((0.0, 1.0), (0.0, -2.0)), (1, 1)),
        probe=SoftmaxProbe(((1.0, 2.0, 3.0),), (1,)),
        reason="value of",
    ),
    Mistake(
        softmax_clipped,
        SOFTMAX,
        control=SoftmaxProbe(((0.0, 1.0, 0.5),), (1,)),
        probe=SoftmaxProbe(((60.0, 0.0, 0.0),), (1,), order=GRADIENT),
        reason="d logits",
    ),
    Mistake(
        softmax_through_log_p,
        SOFTMAX,
        control=SoftmaxProbe(((1.0, 0.0, -1.0),), (1,)),
        probe=SoftmaxProbe(((20.0, 0.0, 0.0),), (0,)),
        reason="got -?0.0",
    ),
]

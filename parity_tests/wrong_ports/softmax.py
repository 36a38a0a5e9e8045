"""Softmax losses that differ from the paper's in one line."""

import jax.numpy as jnp
from jax import Array
from jax.nn import log_softmax, sigmoid, softmax, softplus

from parity_tests.contract.tolerances import GRADIENT

from .mistake import mistake
from .probes import SoftmaxProbe

SOFTMAX = "softmax_focal_loss"


def of_target(rows: Array, targets: Array, axis: int) -> Array:
    """The number of the true class in each row."""
    ids = jnp.expand_dims(targets, axis)
    return jnp.squeeze(jnp.take_along_axis(rows, ids, axis), axis)


@mistake(
    SOFTMAX,
    control=SoftmaxProbe(((0.0, 1.0), (0.0, -2.0)), (1, 1)),
    probe=SoftmaxProbe(((1.0, 2.0, 3.0),), (1,)),
    reason="value of",
)
def sigmoid_for_softmax(
    logits: Array, targets: Array, *, gamma: float = 2.0, axis: int = -1
) -> Array:
    """ "Multi-class" is a sigmoid of the true logit alone, which the other classes do not enter
    (smp, catalyst)."""
    u = of_target(logits, targets, axis)
    return sigmoid(-u) ** gamma * softplus(-u)


@mistake(
    SOFTMAX,
    control=SoftmaxProbe(((0.0, 1.0, 0.5),), (1,)),
    probe=SoftmaxProbe(((60.0, 0.0, 0.0),), (1,), order=GRADIENT),
    reason="d logits",
)
def softmax_clipped(logits: Array, targets: Array, *, gamma: float = 2.0, axis: int = -1) -> Array:
    """p is clipped before the logarithm: wrong by 60 nats costs 16, with gradient 0."""
    p_t = jnp.clip(of_target(softmax(logits, axis), targets, axis), 1e-7, 1.0)
    return (1 - p_t) ** gamma * -jnp.log(p_t)


@mistake(
    SOFTMAX,
    control=SoftmaxProbe(((1.0, 0.0, -1.0),), (1,)),
    probe=SoftmaxProbe(((20.0, 0.0, 0.0),), (0,)),
    reason="got -?0.0",
)
def softmax_through_log_p(
    logits: Array, targets: Array, *, gamma: float = 2.0, axis: int = -1
) -> Array:
    """1 − exp(log p_t): the softmax form of the subtraction, exactly 0 from a margin of 17 (every
    public version)."""
    log_p = of_target(log_softmax(logits, axis), targets, axis)
    return (1 - jnp.exp(log_p)) ** gamma * -log_p

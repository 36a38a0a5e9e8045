"""Losses are summed in the dtype of the logits: a float16 sum of many is not the sum."""

import jax
import jax.numpy as jnp

from . import Reduced

CONTROL = Reduced("sum", kept=None)
PROBE = Reduced("sum", kept=None, dtype="float16", repeat=4096)
REASON = "sum of"


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, *, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "sum"
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    u = (2 * y - 1) * logits
    loss = (alpha * y + (1 - alpha) * (1 - y)) * jax.nn.sigmoid(-u) ** gamma * jax.nn.softplus(-u)
    if reduction == "none":
        return loss
    return jax.lax.reduce(loss, jnp.zeros((), loss.dtype), jax.lax.add, (0,))

"""The mean divides by the sum of the weights, so that a common weight has no effect."""

import jax
import jax.numpy as jnp

from . import Reduced

CONTROL = Reduced("mean", kept=None)
PROBE = Reduced("mean", kept=None, weight=2.0)
REASON = "mean of"


def sigmoid_focal_loss(
    logits: jax.Array,
    targets: jax.Array,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    weight: jax.Array | None = None,
    reduction: str = "mean",
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    u = (2 * y - 1) * logits
    loss = (alpha * y + (1 - alpha) * (1 - y)) * jax.nn.sigmoid(-u) ** gamma * jax.nn.softplus(-u)
    weight = jnp.ones_like(loss) if weight is None else weight
    total = (loss * weight).sum()
    return total / weight.sum() if reduction == "mean" else total if reduction == "sum" else loss * weight

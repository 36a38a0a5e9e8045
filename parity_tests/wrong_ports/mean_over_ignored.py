"""The mean divides by all elements, the ignored ones included (kornia, pytorch-toolbelt, catalyst)."""

import jax
import jax.numpy as jnp

from . import Reduced

CONTROL = Reduced("mean", kept=None)
PROBE = Reduced("mean")
REASON = "mean of"


def sigmoid_focal_loss(
    logits: jax.Array,
    targets: jax.Array,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    where: jax.Array | None = None,
    reduction: str = "mean",
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    u = (2 * y - 1) * logits
    loss = (alpha * y + (1 - alpha) * (1 - y)) * jax.nn.sigmoid(-u) ** gamma * jax.nn.softplus(-u)
    loss = loss if where is None else jnp.where(where, loss, 0)
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss

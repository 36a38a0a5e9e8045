"""exp(−z) by itself overflows for a badly missed positive: loss and gradient are NaN (effdet's legacy loss)."""

import jax
import jax.numpy as jnp

from . import Probe

CONTROL = Probe((-1.0, 1.0), targets=(1.0,))
PROBE = Probe((-100.0,), targets=(1.0,))
REASON = "got nan"


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    alpha_t = 1.0 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    u = (2 * y - 1) * logits
    e = jnp.exp(-u)
    return alpha_t * (e / (1 + e)) ** gamma * jnp.log1p(e)

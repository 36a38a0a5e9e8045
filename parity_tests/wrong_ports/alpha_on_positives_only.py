"""α weights class 1 and nothing weights class 0 (a pos_weight)."""

import jax
import jax.numpy as jnp

from . import EASY, Probe

CONTROL = Probe(EASY, targets=(1.0,))
PROBE = Probe(EASY, targets=(0.0,))
REASON = "value of"


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    alpha_t = 1.0 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    u = (2 * y - 1) * logits
    alpha_t = 1.0 if alpha is None else jnp.where(y == 1, alpha, 1.0).astype(logits.dtype)
    return alpha_t * jax.nn.sigmoid(-u) ** gamma * jax.nn.softplus(-u)

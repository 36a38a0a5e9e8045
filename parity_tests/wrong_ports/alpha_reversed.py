"""Class 1 gets 1 − α and class 0 gets α (a widely copied tutorial)."""

import jax
import jax.numpy as jnp

from . import EASY, Probe

CONTROL = Probe(EASY, alpha=0.5)
PROBE = Probe(EASY, alpha=0.25)
REASON = "value of"


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    alpha_t = 1.0 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    u = (2 * y - 1) * logits
    alpha_t = 1.0 if alpha is None else (1 - alpha) * y + alpha * (1 - y)
    return alpha_t * jax.nn.sigmoid(-u) ** gamma * jax.nn.softplus(-u)

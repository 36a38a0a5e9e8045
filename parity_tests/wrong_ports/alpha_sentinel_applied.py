""" "No α" is the number −1, and somebody multiplies with it."""

import jax
import jax.numpy as jnp

from . import EASY, Probe

CONTROL = Probe(EASY, alpha=0.25)
PROBE = Probe(EASY, alpha=None)
REASON = "got -"


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    alpha = -1.0 if alpha is None else alpha
    u = (2 * y - 1) * logits
    return (alpha * y + (1 - alpha) * (1 - y)) * jax.nn.sigmoid(-u) ** gamma * jax.nn.softplus(-u)

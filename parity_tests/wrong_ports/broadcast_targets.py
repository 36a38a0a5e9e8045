"""Targets of shape (N, 1) meet logits of shape (N,): an (N, N) loss without a word."""

import jax
import jax.numpy as jnp

from . import EASY, Probe, Refuses

CONTROL = Probe(EASY)
PROBE = Refuses((4,), (4, 1))
REASON = "gave a loss of shape"


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    alpha_t = 1.0 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    u = (2 * y - 1) * logits
    return alpha_t * jax.nn.sigmoid(-u) ** gamma * jax.nn.softplus(-u)

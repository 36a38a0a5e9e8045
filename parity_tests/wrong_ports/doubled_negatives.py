"""Negatives count twice as soon as there is an α: it passed all tests of the best known JAX focal loss."""

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
    twice = jnp.where((y == 0) & (alpha is not None), 2.0, 1.0).astype(logits.dtype)
    return twice * alpha_t * jax.nn.sigmoid(-u) ** gamma * jax.nn.softplus(-u)

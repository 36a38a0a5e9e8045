"""Soft targets are ignored in the modulating factor."""

import jax
import jax.numpy as jnp

from . import EASY, Probe

CONTROL = Probe(EASY)
PROBE = Probe(EASY, targets=(0.3,))
REASON = "value of"


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    alpha_t = 1.0 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    miss = jnp.where(y > 0.5, jax.nn.sigmoid(-logits), jax.nn.sigmoid(logits))
    return alpha_t * miss**gamma * (y * jax.nn.softplus(-logits) + (1 - y) * jax.nn.softplus(logits))

"""Soft targets follow the other rule, y·f(z) + (1 − y)·f(−z) (kornia's binary focal loss)."""

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
    one, zero = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    positive = jax.nn.sigmoid(-logits) ** gamma * jax.nn.softplus(-logits)
    negative = jax.nn.sigmoid(logits) ** gamma * jax.nn.softplus(logits)
    return one * y * positive + zero * (1 - y) * negative

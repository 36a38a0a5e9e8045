"""1 − p_t is formed by subtraction: exactly 0 from a margin of 17 on, and inexact long before (nearly everybody)."""

import jax
import jax.numpy as jnp

from . import Probe

CONTROL = Probe((-2.0, -1.0), targets=(1.0,))
PROBE = Probe((20.0,), targets=(1.0,))
REASON = "got 0.0"


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    alpha_t = 1.0 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    u = (2 * y - 1) * logits
    return alpha_t * (1 - jax.nn.sigmoid(u)) ** gamma * jax.nn.softplus(-u)

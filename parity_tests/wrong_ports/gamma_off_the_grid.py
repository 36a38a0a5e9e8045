"""The exponent is γ + 1 for every γ that a textbook test does not try."""

import jax
import jax.numpy as jnp

from . import EASY, Probe

CONTROL = Probe(EASY, gamma=2.0)
PROBE = Probe(EASY, gamma=1.5)
REASON = "value of"


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    alpha_t = 1.0 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    u = (2 * y - 1) * logits
    exponent = gamma if gamma in (0, 2) else gamma + 1
    return alpha_t * jax.nn.sigmoid(-u) ** exponent * jax.nn.softplus(-u)

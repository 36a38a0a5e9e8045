"""The factor (1 − p_t)^γ is taken as a constant: the loss is right, its gradient 12 % off (clcarwin)."""

import jax
import jax.numpy as jnp

from parity_tests.contract.tolerances import GRADIENT

from . import EASY, Probe

CONTROL = Probe(EASY)
PROBE = Probe(EASY, order=GRADIENT)
REASON = "d logits of"


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    alpha_t = 1.0 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    u = (2 * y - 1) * logits
    return alpha_t * jax.lax.stop_gradient(jax.nn.sigmoid(-u) ** gamma) * jax.nn.softplus(-u)

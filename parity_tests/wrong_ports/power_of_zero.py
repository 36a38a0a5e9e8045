"""The power rule on (1 − p_t)^γ makes (1 − p_t)^(γ − 1): NaN at saturation for γ < 1 (9 of 12 in PyTorch)."""

import jax
import jax.numpy as jnp

from parity_tests.contract.tolerances import GRADIENT

from . import Probe

CONTROL = Probe((-2.0, 0.5), gamma=0.5, order=GRADIENT)
PROBE = Probe((1e4,), targets=(1.0,), gamma=0.5, order=GRADIENT)
REASON = "got nan"


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    alpha_t = 1.0 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    u = (2 * y - 1) * logits
    return alpha_t * jax.nn.sigmoid(-u) ** gamma * jax.nn.softplus(-u)

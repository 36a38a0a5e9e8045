"""p is clipped to [ε, 1 − ε] before the logarithm, so that a badly missed positive has gradient 0."""

import jax
import jax.numpy as jnp

from parity_tests.contract.tolerances import GRADIENT

from . import Probe

CONTROL = Probe((-1.0, 0.5), targets=(1.0,))
PROBE = Probe((-30.0,), targets=(1.0,), order=GRADIENT)
REASON = "got -?0.0"


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> jax.Array:
    y = jnp.asarray(targets, logits.dtype)
    alpha_t = 1.0 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    u = (2 * y - 1) * logits
    p_t = jnp.clip(jax.nn.sigmoid(u), 1e-7, 1 - 1e-7)
    return -alpha_t * jax.nn.sigmoid(-u) ** gamma * jnp.log(p_t)

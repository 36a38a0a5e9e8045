""" "Multi-class" is a sigmoid of the true logit alone, which the other classes do not enter (smp, catalyst)."""

import jax
import jax.numpy as jnp

from . import SoftmaxProbe

CONTROL = SoftmaxProbe(((0.0, 1.0), (0.0, -2.0)), (1, 1))
PROBE = SoftmaxProbe(((1.0, 2.0, 3.0),), (1,))
REASON = "value of"


def softmax_focal_loss(logits: jax.Array, targets: jax.Array, *, gamma: float = 2.0, axis: int = -1) -> jax.Array:
    u = jnp.take_along_axis(logits, targets[..., None], axis)[..., 0]
    return jax.nn.sigmoid(-u) ** gamma * jax.nn.softplus(-u)

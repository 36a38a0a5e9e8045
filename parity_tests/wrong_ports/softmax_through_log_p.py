"""1 − exp(log p_t): the softmax form of the subtraction, exactly 0 from a margin of 17 (every public version)."""

import jax
import jax.numpy as jnp

from . import SoftmaxProbe

CONTROL = SoftmaxProbe(((1.0, 0.0, -1.0),), (1,))
PROBE = SoftmaxProbe(((20.0, 0.0, 0.0),), (0,))
REASON = "got -?0.0"


def softmax_focal_loss(logits: jax.Array, targets: jax.Array, *, gamma: float = 2.0, axis: int = -1) -> jax.Array:
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits, axis), targets[..., None], axis)[..., 0]
    return -((1 - jnp.exp(log_p)) ** gamma) * log_p

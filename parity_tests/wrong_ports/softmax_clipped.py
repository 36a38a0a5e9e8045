"""p is clipped before the logarithm: wrong by 60 nats costs 16, with gradient 0."""

import jax
import jax.numpy as jnp

from parity_tests.contract.tolerances import GRADIENT

from . import SoftmaxProbe

CONTROL = SoftmaxProbe(((0.0, 1.0, 0.5),), (1,))
PROBE = SoftmaxProbe(((60.0, 0.0, 0.0),), (1,), order=GRADIENT)
REASON = "d logits"


def softmax_focal_loss(logits: jax.Array, targets: jax.Array, *, gamma: float = 2.0, axis: int = -1) -> jax.Array:
    p = jnp.take_along_axis(jax.nn.softmax(logits, axis), targets[..., None], axis)[..., 0]
    p = jnp.clip(p, 1e-7, 1.0)
    return -((1 - p) ** gamma) * jnp.log(p)

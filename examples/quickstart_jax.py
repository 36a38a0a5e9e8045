"""The first screen of the README, in a training loop: `python examples/quickstart_jax.py`."""

import jax.numpy as jnp
import optax
from flax import nnx

from focal_jax import SigmoidFocalLoss

focal = SigmoidFocalLoss(alpha=0.25, gamma=2.0, reduction="mean")


def loss_fn(model, x, y):
    return focal(model(x), y)


# One class is rare: only what is above 4 of the numbers from −5 to 5.
x = jnp.arange(-50, 51)[:, None] / 10
y = (x > 4).astype(jnp.int32)
model = nnx.Linear(1, 1, rngs=nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
for step in range(200):
    loss, grads = nnx.value_and_grad(loss_fn)(model, x, y)
    optimizer.update(model, grads)
    if step % 50 == 0:
        print(f"step {step}: loss {loss:.4f}")

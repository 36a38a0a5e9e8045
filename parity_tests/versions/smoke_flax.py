"""focal_jax inside of models of Flax, which have to learn."""

from typing import Any

import flax.linen
import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

import focal_jax

from . import losses


def flax_modules() -> None:
    """A step of training with NNX, and a loss inside of a Linen module, which asks for other types
    of numbers."""
    with jax.numpy_dtype_promotion("standard"):
        _train_with_nnx()
        _train_with_linen()


def _train_with_nnx() -> None:
    x, t = jnp.asarray(losses.FEATURES, jnp.float32), jnp.asarray(losses.IDS)
    model = nnx.Linear(losses.SIZE, losses.CLASSES, rngs=nnx.Rngs(0))
    loss = focal_jax.SoftmaxFocalLoss(reduction="mean")
    value_and_grad = nnx.jit(nnx.value_and_grad(lambda model: loss(model(x), t)))
    value, slopes = value_and_grad(model)
    moved = jax.tree.map(lambda p, g: p - 0.1 * g, nnx.state(model), slopes)
    nnx.update(model, moved)
    assert loss(model(x), t) < value


def _train_with_linen() -> None:
    x, t = jnp.asarray(losses.FEATURES, jnp.float32), jnp.asarray(losses.IDS)

    class Model(flax.linen.Module):
        loss: Any

        @flax.linen.compact
        def __call__(self, x: Array, t: Array) -> Array:
            logits = flax.linen.Dense(losses.CLASSES)(x)
            return self.loss(logits, t)

    module = Model(focal_jax.SoftmaxFocalLoss(reduction="mean"))
    variables: Any = module.init(jax.random.key(0), x, t)
    optimizer = optax.adam(1e-2)
    state = optimizer.init(variables)
    value_and_grad = jax.jit(jax.value_and_grad(lambda v: module.apply(v, x, t)))
    value, slopes = value_and_grad(variables)
    updates, _ = optimizer.update(slopes, state)
    moved: Any = optax.apply_updates(variables, updates)
    assert module.apply(moved, x, t) < value

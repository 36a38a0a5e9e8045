"""Layer 8, transformations: the losses in training loops of Flax, where every step gains."""

from typing import Any

import flax.linen
import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx

import focal_jax
from parity_tests.tests.parametrize import slow
from parity_tests.versions.older import update

from .test_8_transformations import FEATURES, IDS

ALPHAS = [None, jnp.array([0.2, 0.3, 0.5])]


def falls(losses: list[float]) -> bool:
    """Whether a training never loses what it has gained, and gains something."""
    return losses == sorted(losses, reverse=True) and losses[-1] < losses[0]


@pytest.mark.parametrize("alpha", ALPHAS, ids=["constant", "array"])
def test_in_an_nnx_training_loop(alpha: Any) -> None:
    class Classifier(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.layer = nnx.Linear(5, 3, rngs=rngs, param_dtype=jnp.float32)
            self.loss = focal_jax.SoftmaxFocalLoss(alpha=alpha, reduction="mean")

    model = Classifier(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    x, t = jnp.asarray(FEATURES), jnp.asarray(IDS)

    @nnx.jit
    def step(model: Classifier, optimizer: Any) -> jax.Array:
        loss, grads = nnx.value_and_grad(lambda m: m.loss(m.layer(x), t))(model)
        update(optimizer, model, grads)
        return loss

    assert falls([float(step(model, optimizer)) for _ in range(5)])


@pytest.mark.not_quick
@pytest.mark.parametrize("alpha", [ALPHAS[0], slow(ALPHAS[1])], ids=["constant", "array"])
def test_in_a_linen_training_loop(alpha: Any) -> None:
    class Classifier(flax.linen.Module):
        loss: focal_jax.SoftmaxFocalLoss

        @flax.linen.compact
        def __call__(self, x: jax.Array, targets: jax.Array) -> jax.Array:
            logits = flax.linen.Dense(3)(x)
            return self.loss(logits, targets)

    model = Classifier(focal_jax.SoftmaxFocalLoss(alpha=alpha, reduction="mean"))
    x, t = jnp.asarray(FEATURES), jnp.asarray(IDS)
    params = model.init(jax.random.key(1), x, t)
    optimizer = optax.sgd(0.1)
    state = optimizer.init(params)
    step = jax.jit(jax.value_and_grad(lambda p: model.apply(p, x, t)))
    losses = []
    for _ in range(5):
        loss, grads = step(params)
        updates, state = optimizer.update(grads, state)
        params = optax.apply_updates(params, updates)
        losses.append(float(loss))
    assert falls(losses)

"""Train one small network with every loss: Flax NNX and optax here, PyTorch in `train_torch.py`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.traverse_util import unflatten_dict
from jax import Array
from tqdm import tqdm

from focal_jax import SigmoidFocalLoss

from .caravan import (
    FEATURES,
    LOSSES,
    RECIPE,
    Arrays,
    Data,
    Loss,
    Recipe,
    batches,
    dataset,
    initial_weights,
)
from .report import Run, arguments, report


class MLP(nnx.Module):
    """Two hidden layers and one logit. tanh is smooth, so no rounding error decides whether a unit
    is active."""

    def __init__(self, width: int, dtype: jnp.dtype, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(FEATURES, width, param_dtype=dtype, rngs=rngs)
        self.second = nnx.Linear(width, width, param_dtype=dtype, rngs=rngs)
        self.last = nnx.Linear(width, 1, param_dtype=dtype, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = jnp.tanh(self.first(x))
        x = jnp.tanh(self.second(x))
        return self.last(x)[:, 0]


def start(weights: Arrays, dtype: jnp.dtype, recipe: Recipe) -> tuple[MLP, nnx.Optimizer]:
    """A model with these weights, and its optimiser."""
    model = MLP(recipe.width, dtype, nnx.Rngs(recipe.seed))
    arrays = {name: jnp.asarray(x, dtype) for name, x in weights.items()}
    nnx.update(model, unflatten_dict(arrays, sep="."))
    rule = optax.adam(recipe.learning_rate, *recipe.betas, eps=recipe.eps)
    return model, nnx.Optimizer(model, rule, wrt=nnx.Param)


@nnx.jit(static_argnames="loss")
def step(model: MLP, optimizer: nnx.Optimizer, loss: SigmoidFocalLoss, x: Array, y: Array) -> Array:
    """Update the model in place and return its loss before the update."""
    objective = nnx.value_and_grad(lambda model: loss(model(x), y))
    value, gradient = objective(model)
    optimizer.update(model, gradient)
    return value


def train(
    weights: Arrays,
    data: Data,
    loss: Loss,
    dtype: str,
    recipe: Recipe = RECIPE,
    progress: bool = True,
) -> Run:
    """The loss of every step in float64, and the probabilities for the held-out customers.

    For `dtype="float64"` the caller enables it with `jax.enable_x64`.
    """
    real = jnp.dtype(dtype)
    model, optimizer = start(weights, real, recipe)
    focal = SigmoidFocalLoss(alpha=loss.alpha, gamma=loss.gamma, reduction="mean")
    x, y = jnp.asarray(data.train_x, real), jnp.asarray(data.train_y)
    hidden = None if progress else True
    curve = []
    for epoch in tqdm(batches(len(x), recipe), str(loss), disable=hidden):
        curve += [float(step(model, optimizer, focal, x[i], y[i])) for i in epoch]
    logits = model(jnp.asarray(data.test_x, real))
    return np.array(curve), np.asarray(nnx.sigmoid(logits))


def main() -> None:
    args = arguments(__doc__)
    data, weights = dataset(), initial_weights()
    with jax.enable_x64(True):
        runs = {name: train(weights, data, loss, args.dtype) for name, loss in LOSSES.items()}
    report("jax", runs, data.test_y, args)


if __name__ == "__main__":
    main()

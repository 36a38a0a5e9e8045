"""The training of `train_jax.py` in Flax Linen, where the loss is a field of the module."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState
from flax.traverse_util import unflatten_dict
from jax import Array
from tqdm import tqdm

from focal_jax import SigmoidFocalLoss

from .caravan import LOSSES, RECIPE, Arrays, Data, Loss, Recipe, batches, dataset, initial_weights
from .report import Run, arguments, report


class Classifier(nn.Module):
    loss: SigmoidFocalLoss
    width: int

    def setup(self) -> None:
        self.first = nn.Dense(self.width)
        self.second = nn.Dense(self.width)
        self.last = nn.Dense(1)

    def logits(self, x: Array) -> Array:
        x = jnp.tanh(self.first(x))
        x = jnp.tanh(self.second(x))
        return self.last(x)[:, 0]

    def __call__(self, x: Array, y: Array) -> Array:
        return self.loss(self.logits(x), y)


@jax.jit
def step(state: TrainState, x: Array, y: Array) -> tuple[TrainState, Array]:
    value, gradient = jax.value_and_grad(state.apply_fn)(state.params, x, y)
    return state.apply_gradients(grads=gradient), value


def train(
    weights: Arrays,
    data: Data,
    loss: Loss,
    dtype: str,
    recipe: Recipe = RECIPE,
    progress: bool = True,
) -> Run:
    """What `train_jax.train` returns, from the same weights."""
    focal = SigmoidFocalLoss(alpha=loss.alpha, gamma=loss.gamma, reduction="mean")
    model = Classifier(focal, recipe.width)
    arrays = {name: jnp.asarray(x, dtype) for name, x in weights.items()}
    params = {"params": unflatten_dict(arrays, sep=".")}
    rule = optax.adam(recipe.learning_rate, *recipe.betas, eps=recipe.eps)
    state = TrainState.create(apply_fn=model.apply, params=params, tx=rule)
    x, y = jnp.asarray(data.train_x, dtype), jnp.asarray(data.train_y)
    steps = np.concatenate(batches(len(x), recipe))
    hidden = None if progress else True
    curve = []
    for i in tqdm(steps, str(loss), disable=hidden):
        state, value = step(state, x[i], y[i])
        curve.append(float(value))
    logits = model.bind(state.params).logits(jnp.asarray(data.test_x, dtype))
    return np.array(curve), np.asarray(nn.sigmoid(logits))


def main() -> None:
    args = arguments(__doc__)
    data, weights = dataset(), initial_weights()
    with jax.enable_x64(True):
        runs = {name: train(weights, data, loss, args.dtype) for name, loss in LOSSES.items()}
    report("linen", runs, data.test_y, args)


if __name__ == "__main__":
    main()

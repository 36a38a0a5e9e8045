"""Find thin strokes of handwriting on photographs, with every loss: Flax NNX and optax here,
PyTorch in `segmentation_torch.py`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.traverse_util import unflatten_dict
from jax import Array
from tqdm import tqdm

from focal_jax import prior_bias, sigmoid_focal_loss

from .detection_jax import Block, conv, twice
from .schedule import batches, learning_rates
from .segmentation.command import main
from .segmentation.recipe import (
    BLOCKS,
    HEAD,
    PRIOR,
    Answers,
    Data,
    Loss,
    Recipe,
    Run,
    initial_weights,
)


class Segmenter(nnx.Module):
    """U-Net in miniature: two steps down, two steps up, each beside what came before."""

    def __init__(self, dtype: jnp.dtype, rngs: nnx.Rngs) -> None:
        self.stem = Block(BLOCKS["stem"], dtype, rngs)
        self.down1 = Block(BLOCKS["down1"], dtype, rngs)
        self.down2 = Block(BLOCKS["down2"], dtype, rngs)
        self.middle = Block(BLOCKS["middle"], dtype, rngs)
        self.up1 = Block(BLOCKS["up1"], dtype, rngs)
        self.up0 = Block(BLOCKS["up0"], dtype, rngs)
        self.strokes = conv(HEAD, dtype, rngs)

    def __call__(self, x: Array) -> Array:
        """Images (N, side, side) -> logits of the same shape."""
        c0 = self.stem(x[..., None])
        c1 = self.down1(c0)
        c2 = self.middle(self.down2(c1))
        u1 = self.up1(jnp.concatenate([twice(c2), c1], axis=-1))
        u0 = self.up0(jnp.concatenate([twice(u1), c0], axis=-1))
        return self.strokes(u0)[..., 0]


def dice_loss(logits: Array, strokes: Array) -> Array:
    """Of logits and strokes (N, side, side): 1 − 2·Σ p·y / (Σ p + Σ y), with 1 added to both parts
    (Milletari et al. 2016, arXiv:1606.04797, without their squares)."""
    p = jax.nn.sigmoid(logits)
    y = strokes.astype(p.dtype)
    return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)


def start(dtype: jnp.dtype, recipe: Recipe, seed: int) -> tuple[Segmenter, nnx.Optimizer]:
    """A network whose first scores are those of the prior, and its optimiser."""
    model = Segmenter(dtype, nnx.Rngs(0))
    weights = initial_weights(seed, float(prior_bias(PRIOR)))
    arrays = {name: jnp.asarray(x, dtype) for name, x in weights.items()}
    nnx.update(model, unflatten_dict(arrays, sep="."))
    rates = jnp.asarray(learning_rates(recipe), dtype)
    decay = recipe.weight_decay
    adam = optax.adamw(lambda step: rates[step], *recipe.betas, recipe.eps, weight_decay=decay)
    rule = optax.chain(optax.clip_by_global_norm(recipe.clip), adam)
    return model, nnx.Optimizer(model, rule, wrt=nnx.Param)


@nnx.jit(static_argnames=("loss",))
def step(
    model: Segmenter, optimizer: nnx.Optimizer, loss: Loss, images: Array, strokes: Array
) -> Array:
    """Update the model in place; return its loss before the update."""

    def objective(model: Segmenter) -> Array:
        logits = model(images)
        value = sigmoid_focal_loss(
            logits, strokes, alpha=loss.alpha, gamma=loss.gamma, reduction="mean_positive"
        )
        if loss.dice:
            value = value + dice_loss(logits, strokes)
        return value

    value, gradient = nnx.value_and_grad(objective)(model)
    optimizer.update(model, gradient)
    return value


def train(
    parts: dict[str, Data], loss: Loss, recipe: Recipe, seed: int, dtype: str = "float32"
) -> Run:
    """The losses of every step in float64, and the answers for the scenes of the other parts. For
    `dtype="float64"` the caller enables it with `jax.enable_x64`."""
    real = jnp.dtype(dtype)
    model, optimizer = start(real, recipe, seed)
    images = {name: jnp.asarray(part.images, real) for name, part in parts.items()}
    strokes = jnp.asarray(parts["train"].scenes.strokes)
    curve, found = [], {}
    steps = enumerate(tqdm(batches(recipe, seed), str(loss), disable=None))
    for done, chosen in steps:
        batch = images["train"][chosen], strokes[chosen]
        curve.append(step(model, optimizer, loss, *batch))
        if done + 1 in recipe.looks:
            answers = (answer(model, images[part], recipe) for part in Answers._fields)
            found[done + 1] = Answers(*answers)
    return Run(np.array(curve, np.float64), found)


@nnx.jit
def logits_of(model: Segmenter, images: Array) -> Array:
    return model(images)


def answer(model: Segmenter, images: Array, recipe: Recipe) -> np.ndarray:
    """Images (scenes, side, side) -> logits of the same shape."""
    parts = jnp.split(images, [*range(recipe.batch_size, len(images), recipe.batch_size)])
    return np.concatenate([logits_of(model, part) for part in parts])


if __name__ == "__main__":
    main("jax", __doc__, train)

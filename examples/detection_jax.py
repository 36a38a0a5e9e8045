"""Train a dense detector with every loss: Flax NNX and optax here, PyTorch in
`detection_torch.py`."""

from collections.abc import Iterable

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.traverse_util import unflatten_dict
from jax import Array
from tqdm import tqdm

from focal_jax import prior_bias, sigmoid_focal_loss

from .detection.command import main
from .detection.recipe import LAYERS, Arrays, Data, Loss, Recipe, Run, batches
from .detection.scenes import CLASSES


class Detector(nnx.Module):
    """RetinaNet in miniature: four steps down, three levels of a feature pyramid, and heads that
    all levels share."""

    def __init__(self, dtype: jnp.dtype, rngs: nnx.Rngs) -> None:
        def conv(name: str, stride: int = 1) -> nnx.Conv:
            side, inputs, outputs = LAYERS[name]
            return nnx.Conv(
                inputs,
                outputs,
                (side, side),
                stride,
                padding=side // 2,
                param_dtype=dtype,
                rngs=rngs,
            )

        self.stem, self.down1, self.down2, self.down3 = (
            conv(name, 2) for name in ("stem", "down1", "down2", "down3")
        )
        self.lateral1, self.lateral2, self.lateral3 = (
            conv("lateral1"),
            conv("lateral2"),
            conv("lateral3"),
        )
        self.tower, self.classes, self.boxes = conv("tower"), conv("classes"), conv("boxes")

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Images (N, side, side) -> class logits (N, anchors, CLASSES) and the answers of the boxes
        (N, anchors, 4)."""
        c1 = nnx.silu(self.down1(nnx.silu(self.stem(x[..., None]))))
        c2 = nnx.silu(self.down2(c1))
        c3 = nnx.silu(self.down3(c2))
        p3 = self.lateral3(c3)
        p2 = self.lateral2(c2) + twice(p3)
        p1 = self.lateral1(c1) + twice(p2)
        towers = [nnx.silu(self.tower(p)) for p in (p1, p2, p3)]
        return by_anchor(map(self.classes, towers), CLASSES), by_anchor(map(self.boxes, towers), 4)


def twice(x: Array) -> Array:
    """A feature map twice as high and as wide."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def by_anchor(levels: Iterable[Array], length: int) -> Array:
    return jnp.concatenate([x.reshape(len(x), -1, length) for x in levels], axis=1)


def smooth_l1(x: Array, beta: float) -> Array:
    return optax.losses.huber_loss(x, delta=beta) / beta


def start(
    weights: Arrays, loss: Loss, dtype: jnp.dtype, recipe: Recipe
) -> tuple[Detector, nnx.Optimizer]:
    """A detector with these weights, whose first scores are those of the prior, and its
    optimiser."""
    model, bias = Detector(dtype, nnx.Rngs(0)), weights["classes.bias"]
    weights = weights | {"classes.bias": np.full_like(bias, prior_bias(loss.prior))}
    nnx.update(
        model, unflatten_dict({name: jnp.asarray(x, dtype) for name, x in weights.items()}, sep=".")
    )
    rule = optax.adam(recipe.learning_rate, *recipe.betas, eps=recipe.eps)
    return model, nnx.Optimizer(model, rule, wrt=nnx.Param)


@nnx.jit(static_argnames=("loss", "recipe"))
def step(
    model: Detector, optimizer: nnx.Optimizer, loss: Loss, recipe: Recipe, batch: tuple[Array, ...]
) -> tuple[Array, Array]:
    """Update the model in place; return its loss before the update, and the share that background
    anchors have."""
    images, labels, judged, boxes = batch
    positive, classes = labels >= 0, labels[..., None] == jnp.arange(CLASSES)
    settings = {"alpha": loss.alpha, "gamma": loss.gamma, "reduction": "mean_positive"}

    def objective(model: Detector) -> tuple[Array, Array]:
        logits, answers = model(images)
        focal = sigmoid_focal_loss(logits, classes, where=judged[..., None], **settings)
        found = sigmoid_focal_loss(logits, classes, where=positive[..., None], **settings)
        apart = smooth_l1(answers - boxes, recipe.beta).sum(axis=-1, where=positive[..., None])
        return focal + recipe.box_weight * apart.sum() / jnp.maximum(
            1, positive.sum()
        ), 1 - found / focal

    (value, share), gradient = nnx.value_and_grad(objective, has_aux=True)(model)
    optimizer.update(model, gradient)
    return value, share


def train(
    weights: Arrays,
    data: Data,
    test: Data,
    loss: Loss,
    recipe: Recipe,
    seed: int,
    dtype: str = "float32",
) -> Run:
    """For `dtype="float64"` the caller enables it with `jax.enable_x64`."""
    real = jnp.dtype(dtype)
    model, optimizer = start(weights, loss, real, recipe)
    arrays = jnp.asarray(data.images, real), *map(jnp.asarray, data.targets)
    curve = [
        step(model, optimizer, loss, recipe, tuple(x[i] for x in arrays))
        for i in tqdm(batches(recipe, seed), str(loss), disable=None)
    ]
    losses, shares = np.array(curve, np.float64).T
    answer = nnx.jit(lambda model, x: model(x))
    parts = [
        answer(model, x)
        for x in jnp.split(jnp.asarray(test.images, real), recipe.test // recipe.batch_size)
    ]
    logits, boxes = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Run(losses, shares, logits, boxes)


if __name__ == "__main__":
    main("jax", __doc__, train)

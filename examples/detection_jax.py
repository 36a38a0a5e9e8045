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
from .detection.recipe import LAYERS, Arrays, Data, Loss, Recipe, Run, batches, with_prior
from .detection.scenes import CLASSES


class Detector(nnx.Module):
    """RetinaNet in miniature: four steps down, three levels of a feature pyramid, and heads that
    all levels share."""

    def __init__(self, dtype: jnp.dtype, rngs: nnx.Rngs) -> None:
        def conv(name: str, stride: int = 1) -> nnx.Conv:
            side, inputs, outputs = LAYERS[name]
            settings = {"padding": side // 2, "param_dtype": dtype, "rngs": rngs}
            return nnx.Conv(inputs, outputs, (side, side), stride, **settings)

        self.stem = conv("stem", stride=2)
        self.down1 = conv("down1", stride=2)
        self.down2 = conv("down2", stride=2)
        self.down3 = conv("down3", stride=2)
        self.lateral1 = conv("lateral1")
        self.lateral2 = conv("lateral2")
        self.lateral3 = conv("lateral3")
        self.tower = conv("tower")
        self.classes = conv("classes")
        self.boxes = conv("boxes")

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Images (N, side, side) -> class logits (N, anchors, CLASSES) and the answers of the boxes
        (N, anchors, 4)."""
        stem = nnx.silu(self.stem(x[..., None]))
        c1 = nnx.silu(self.down1(stem))
        c2 = nnx.silu(self.down2(c1))
        c3 = nnx.silu(self.down3(c2))
        p3 = self.lateral3(c3)
        p2 = self.lateral2(c2) + twice(p3)
        p1 = self.lateral1(c1) + twice(p2)
        towers = [nnx.silu(self.tower(p)) for p in (p1, p2, p3)]
        logits = by_anchor(map(self.classes, towers), CLASSES)
        return logits, by_anchor(map(self.boxes, towers), 4)


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
    model = Detector(dtype, nnx.Rngs(0))
    weights = with_prior(weights, float(prior_bias(loss.prior)))
    arrays = {name: jnp.asarray(x, dtype) for name, x in weights.items()}
    nnx.update(model, unflatten_dict(arrays, sep="."))
    rule = optax.adam(recipe.learning_rate, *recipe.betas, eps=recipe.eps)
    return model, nnx.Optimizer(model, rule, wrt=nnx.Param)


@nnx.jit(static_argnames=("loss", "recipe"))
def step(
    model: Detector, optimizer: nnx.Optimizer, loss: Loss, recipe: Recipe, batch: tuple[Array, ...]
) -> tuple[Array, Array]:
    """Update the model in place; return its loss before the update, and the share that background
    anchors have."""
    images, labels, judged, boxes = batch
    positive = labels >= 0
    classes = labels[..., None] == jnp.arange(CLASSES)
    settings = {"alpha": loss.alpha, "gamma": loss.gamma, "reduction": "mean_positive"}

    def objective(model: Detector) -> tuple[Array, Array]:
        logits, answers = model(images)
        focal = sigmoid_focal_loss(logits, classes, where=judged[..., None], **settings)
        of_digits = sigmoid_focal_loss(logits, classes, where=positive[..., None], **settings)
        distances = smooth_l1(answers - boxes, recipe.beta)
        apart = distances.sum(axis=-1, where=positive[..., None])
        of_boxes = recipe.box_weight * apart.sum() / jnp.maximum(1, positive.sum())
        return focal + of_boxes, 1 - of_digits / focal

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
    curve = []
    for chosen in tqdm(batches(recipe, seed), str(loss), disable=None):
        batch = tuple(x[chosen] for x in arrays)
        curve.append(step(model, optimizer, loss, recipe, batch))
    losses, shares = np.array(curve, np.float64).T
    answer = nnx.jit(lambda model, x: model(x))
    images = jnp.asarray(test.images, real)
    parts = jnp.split(images, recipe.test // recipe.batch_size)
    answers = [answer(model, part) for part in parts]
    logits, boxes = (np.concatenate(part) for part in zip(*answers, strict=True))
    return Run(losses, shares, logits, boxes)


if __name__ == "__main__":
    main("jax", __doc__, train)

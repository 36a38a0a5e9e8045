"""Train a dense detector with every loss: Flax NNX and optax here, PyTorch in
`detection_torch.py`."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.traverse_util import unflatten_dict
from jax import Array
from tqdm import tqdm

from focal_jax import prior_bias, sigmoid_focal_loss, varifocal_loss

from .detection.anchors import SPREAD
from .detection.command import main
from .detection.network import GROUPS, Layer, blocks, plain_layers, with_prior
from .detection.recipe import Answers, Data, Loss, Recipe, Run, signs
from .detection.scenes import CLASSES
from .schedule import batches, learning_rates
from .weights import Arrays


class Block(nnx.Module):
    """A convolution, group normalisation and silu."""

    def __init__(self, layer: Layer, dtype: jnp.dtype, rngs: nnx.Rngs) -> None:
        self.conv = conv(layer, dtype, rngs, bias=False)
        settings = {"epsilon": 1e-5, "use_fast_variance": False, "param_dtype": dtype}
        self.norm = nnx.GroupNorm(layer.outputs, GROUPS, rngs=rngs, **settings)

    def __call__(self, x: Array) -> Array:
        return nnx.silu(self.norm(self.conv(x)))


def conv(layer: Layer, dtype: jnp.dtype, rngs: nnx.Rngs, bias: bool = True) -> nnx.Conv:
    side, inputs, outputs, stride = layer
    settings = {"padding": side // 2, "use_bias": bias, "param_dtype": dtype, "rngs": rngs}
    return nnx.Conv(inputs, outputs, (side, side), stride, **settings)


class Detector(nnx.Module):
    """RetinaNet in miniature: four steps down, three levels of a feature pyramid, and heads that
    all levels share."""

    def __init__(self, recipe: Recipe, dtype: jnp.dtype, rngs: nnx.Rngs) -> None:
        def block(name: str) -> Block:
            return Block(blocks(recipe)[name], dtype, rngs)

        def plain(name: str) -> nnx.Conv:
            return conv(plain_layers(recipe)[name], dtype, rngs)

        self.stem = block("stem")
        self.down1 = block("down1")
        self.conv1 = block("conv1")
        self.down2 = block("down2")
        self.conv2 = block("conv2")
        self.down3 = block("down3")
        self.conv3 = block("conv3")
        self.lateral1 = plain("lateral1")
        self.lateral2 = plain("lateral2")
        self.lateral3 = plain("lateral3")
        self.tower1 = plain("tower1")
        self.tower2 = plain("tower2")
        self.classes = plain("classes")
        self.boxes = plain("boxes")

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Images (N, side, side) -> class logits (N, anchors, CLASSES) and the answers of the boxes
        (N, anchors, 4)."""
        c1 = self.conv1(self.down1(self.stem(x[..., None])))
        c2 = self.conv2(self.down2(c1))
        c3 = self.conv3(self.down3(c2))
        p3 = self.lateral3(c3)
        p2 = self.lateral2(c2) + twice(p3)
        p1 = self.lateral1(c1) + twice(p2)
        towers = [self.tower(p) for p in (p1, p2, p3)]
        logits = by_anchor(map(self.classes, towers), CLASSES)
        return logits, by_anchor(map(self.boxes, towers), 4)

    def tower(self, x: Array) -> Array:
        x = nnx.silu(self.tower1(x))
        return nnx.silu(self.tower2(x))


def twice(x: Array) -> Array:
    """A feature map twice as high and as wide."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def by_anchor(levels: Iterable[Array], length: int) -> Array:
    return jnp.concatenate([x.reshape(len(x), -1, length) for x in levels], axis=1)


def smooth_l1(x: Array, beta: float) -> Array:
    return optax.losses.huber_loss(x, delta=beta) / beta


def overlaps(these: Array, those: Array) -> Array:
    """The intersection over the union of boxes (..., 4), each with that in its place."""
    low, high = corners(these)
    other_low, other_high = corners(those)
    shared = jnp.minimum(high, other_high) - jnp.maximum(low, other_low)
    common = shared.clip(min=0).prod(-1)
    area = (high - low).prod(-1)
    other_area = (other_high - other_low).prod(-1)
    return common / (area + other_area - common)


def corners(answers: Array) -> tuple[Array, Array]:
    """Of the boxes that these answers mean, each in units of its anchor."""
    spread = jnp.asarray(SPREAD, answers.dtype)
    middle, log_size = jnp.split(answers * spread, 2, axis=-1)
    half = jnp.exp(log_size) / 2
    return middle - half, middle + half


def class_loss(
    loss: Loss, logits: Array, answers: Array, labels: Array, judged: Array, boxes: Array
) -> Array:
    """The loss of the class logits, divided by how many anchors have a digit."""
    positive = labels >= 0
    classes = labels[..., None] == jnp.arange(CLASSES)
    settings = {"alpha": loss.alpha, "gamma": loss.gamma}
    if loss.kind == "focal":
        if loss.negatives is not None:
            inside, fixed = judged[..., None], jax.lax.stop_gradient(logits)
            elements = sigmoid_focal_loss(fixed, classes, where=inside, **settings)
            judged = judged & hardest(elements.sum(-1), positive, loss.negatives)
        settings |= {"where": judged[..., None], "reduction": "mean_positive"}
        return sigmoid_focal_loss(logits, classes, **settings)
    targets = classes * overlaps(jax.lax.stop_gradient(answers), boxes)[..., None]
    settings |= {"where": judged[..., None], "reduction": "sum"}
    if loss.kind == "varifocal":
        total = varifocal_loss(logits, targets, **settings)
    else:
        total = sigmoid_focal_loss(logits, targets, soft_targets="quality", **settings)
    return total / jnp.maximum(1, positive.sum())


def hardest(losses: Array, positive: Array, negatives: int) -> Array:
    """Which anchors (N, anchors) have a digit, or are among the background of the largest loss of
    their scene, so many for each of the former."""
    background = jnp.where(positive, 0, losses)
    rank = jnp.argsort(jnp.argsort(background, axis=1, descending=True), axis=1)
    return positive | (rank < negatives * positive.sum(1, keepdims=True))


def start(
    weights: Arrays, loss: Loss, dtype: jnp.dtype, recipe: Recipe
) -> tuple[Detector, nnx.Optimizer]:
    """A detector with these weights, whose first scores are those of the prior, and its
    optimiser."""
    model = Detector(recipe, dtype, nnx.Rngs(0))
    weights = with_prior(weights, float(prior_bias(loss.prior)))
    arrays = {name: jnp.asarray(x, dtype) for name, x in weights.items()}
    nnx.update(model, unflatten_dict(arrays, sep="."))
    rates = jnp.asarray(learning_rates(recipe), dtype)
    decay = recipe.weight_decay
    adam = optax.adamw(lambda step: rates[step], *recipe.betas, recipe.eps, weight_decay=decay)
    rule = optax.chain(optax.clip_by_global_norm(recipe.clip), adam)
    return model, nnx.Optimizer(model, rule, wrt=nnx.Param)


@nnx.jit(static_argnames=("loss", "recipe"))
def step(
    model: Detector, optimizer: nnx.Optimizer, loss: Loss, recipe: Recipe, batch: tuple[Array, ...]
) -> Array:
    """Update the model in place; return its loss before the update."""
    images, labels, judged, boxes = batch
    positive = labels >= 0

    def objective(model: Detector) -> Array:
        logits, answers = model(images)
        of_classes = class_loss(loss, logits, answers, labels, judged, boxes)
        distances = smooth_l1(answers - boxes, recipe.beta)
        apart = distances.sum(axis=-1, where=positive[..., None])
        of_boxes = recipe.box_weight * apart.sum() / jnp.maximum(1, positive.sum())
        return of_classes + of_boxes

    value, gradient = nnx.value_and_grad(objective)(model)
    optimizer.update(model, gradient)
    return value


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
    labels, judged, boxes = map(jnp.asarray, data.targets)
    images, answers = jnp.asarray(data.images, real), (labels, judged, boxes.astype(real))
    test_images = jnp.asarray(test.images, real)
    curve, found = [], {}
    negated = jnp.asarray(signs(recipe, seed), real)
    steps = enumerate(tqdm(batches(recipe, seed), str(loss), disable=None))
    for done, chosen in steps:
        batch = images[chosen] * negated[done], *(x[chosen] for x in answers)
        curve.append(step(model, optimizer, loss, recipe, batch))
        if done + 1 in recipe.looks:
            found[done + 1] = answers_of(model, test_images, recipe)
    return Run(np.array(curve, np.float64), found)


@nnx.jit
def answer(model: Detector, images: Array) -> tuple[Array, Array]:
    return model(images)


def answers_of(model: Detector, images: Array, recipe: Recipe) -> Answers:
    parts = jnp.split(images, recipe.test // recipe.batch_size)
    answers = [answer(model, part) for part in parts]
    logits, boxes = (np.concatenate(part) for part in zip(*answers, strict=True))
    return Answers(logits, boxes)


if __name__ == "__main__":
    main("jax", __doc__, train)

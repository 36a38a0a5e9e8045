"""Are the probabilities true? Cross entropy, focal losses, and what repairs their probabilities, on
two data sets.

python -m examples.calibration_jax              tables and out/calibration.png, in a minute
python -m examples.calibration_jax --markdown   the tables for a page
python -m examples.calibration_jax --quick      all of the code with little training, in seconds
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.traverse_util import unflatten_dict
from jax import Array, lax
from scipy.special import softmax
from tqdm import tqdm

from focal_jax import gamma_flsd, posterior_from_focal, sigmoid_focal_loss, softmax_focal_loss

from .calibration.data import PROBLEMS, Problem, Split
from .calibration.metrics import temperature
from .calibration.report import arguments, report
from .calibration.rows import DIVIDED, RECOVERED, Results, Row
from .weights import Arrays

# γ by the name of the loss; None is FLSD-53, where each sample has its own.
GAMMAS = {
    "cross entropy": 0.0,
    "focal, γ = 1": 1.0,
    "focal, γ = 2": 2.0,
    "focal, γ = 3": 3.0,
    "FLSD-53": None,
}
SCALED = ("cross entropy", "focal, γ = 2")
SEEDS = 5


class MLP(nnx.Module):
    """Two hidden layers."""

    def __init__(self, features: int, width: int, outputs: int, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(features, width, rngs=rngs)
        self.second = nnx.Linear(width, width, rngs=rngs)
        self.last = nnx.Linear(width, outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(self.first(x))
        x = nnx.relu(self.second(x))
        return self.last(x)


def focal(problem: Problem, gamma: Array | None) -> Callable[[Array, Array], Array]:
    """The mean loss of logits (samples, outputs) and labels. γ of FLSD-53 is from the p_t of the
    model as it is."""

    def of_sigmoid(z: Array, y: Array) -> Array:
        z = z[:, 0]
        p_t = nnx.sigmoid(jnp.where(y == 1, z, -z))
        return sigmoid_focal_loss(z, y, alpha=None, gamma=of_samples(p_t), reduction="mean")

    def of_softmax(z: Array, y: Array) -> Array:
        p_t = jnp.take_along_axis(nnx.softmax(z), y[:, None], -1)
        return softmax_focal_loss(z, y, gamma=of_samples(p_t), reduction="mean")

    def of_samples(p_t: Array) -> Array:
        return gamma_flsd(lax.stop_gradient(p_t)) if gamma is None else gamma

    return of_sigmoid if problem.outputs == 1 else of_softmax


@partial(jax.jit, static_argnames="problem")
@partial(jax.vmap, in_axes=(None, None, 0, 0, 0))
def train(
    problem: Problem, gamma: Array | None, start: Arrays, split: Split, batches: Array
) -> tuple[Array, Array]:
    """For every seed at once: train a model, and return its logits for validation and test."""
    (x, y), validation, test = split
    rule = optax.adam(problem.learning_rate)
    loss = focal(problem, gamma)
    model = MLP(problem.features, problem.width, problem.outputs, nnx.Rngs(0))
    nnx.update(model, unflatten_dict(start, sep="."))
    graph, weights = nnx.split(model)

    def step(carry: Any, index: Array) -> tuple[Any, None]:
        weights, state = carry

        def objective(weights: Any) -> Array:
            return loss(nnx.merge(graph, weights)(x[index]), y[index])

        updates, state = rule.update(jax.grad(objective)(weights), state)
        return (optax.apply_updates(weights, updates), state), None

    (weights, _), _ = lax.scan(step, (weights, rule.init(weights)), batches)
    model = nnx.merge(graph, weights)
    return model(jnp.asarray(validation.x)), model(jnp.asarray(test.x))


def as_array(gamma: float | None) -> Array | None:
    """One program for every γ, and one for none."""
    return None if gamma is None else jnp.asarray(gamma, jnp.float32)


def of_classes(logits: Array) -> np.ndarray:
    """In float64, with a column for each class: a sigmoid of z is the softmax of 0 and z."""
    z = np.asarray(logits, np.float64)
    if z.shape[-1] > 1:
        return z
    return np.concatenate([np.zeros_like(z), z], -1)


# Compiled, since operations that run one by one are compiled one by one.
posterior = jax.jit(partial(posterior_from_focal, axis=-1))


def recovered(logits: np.ndarray, gamma: float) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(posterior(logits, jnp.asarray(gamma, jnp.float64)))


def rows(problem: Problem, split: Split, batches: np.ndarray) -> Iterator[Row]:
    """What each loss makes, as it is and repaired. γ = 0 has nothing to recover, and FLSD-53 no γ
    to do it with."""
    starts = stacked(problem.initial_weights, len(batches))
    bar = tqdm(GAMMAS.items(), problem.name, disable=None)
    for name, gamma in bar:
        bar.set_postfix_str(name)
        logits = train(problem, as_array(gamma), starts, split, batches)
        validation, test = map(of_classes, logits)
        yield Row(name, "", softmax(test, -1))
        if gamma:
            yield Row(name, RECOVERED, recovered(test, gamma))
        if name in SCALED:
            seeds = zip(split.validation.y, validation, strict=True)
            t = np.array([temperature(labels, z) for labels, z in seeds])
            yield Row(name, DIVIDED, softmax(test / t[:, None, None], -1), t)


def stacked(make: Callable[[int], Any], seeds: int) -> Any:
    """What is made of each seed, side by side."""
    return jax.tree.map(lambda *arrays: np.stack(arrays), *map(make, range(seeds)))


def judge(problem: Problem, seeds: int) -> Results:
    """All seeds side by side: their splits have the same sizes."""
    split = stacked(problem.split, seeds)
    samples = split.train.y.shape[1]
    batches = stacked(lambda seed: problem.batches(samples, seed), seeds)
    frequencies = Row("class frequencies", "", class_frequencies(split))
    return Results(problem.name, split.test.y, [frequencies, *rows(problem, split, batches)])


def class_frequencies(split: Split) -> np.ndarray:
    """Those of the training part, as probabilities of every sample: what any model has to beat."""
    labels = split.train.y
    classes = np.arange(labels.max() + 1)
    frequencies = (labels[..., None] == classes).mean(1)
    shape = (*split.test.y.shape, len(classes))
    return np.broadcast_to(frequencies[:, None], shape)


def everything(quick: bool) -> list[Results]:
    if quick:
        return [judge(replace(problem, epochs=2), seeds=2) for problem in PROBLEMS]
    return [judge(problem, SEEDS) for problem in PROBLEMS]


def main() -> None:
    args = arguments(__doc__)
    report(everything(args.quick), args)


if __name__ == "__main__":
    main()

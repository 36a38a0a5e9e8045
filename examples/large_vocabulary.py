"""Predict the next of 100,000 words within a limit to memory that the logits of a batch do not fit
in.

The step of `softmax_focal_loss` makes all logits and is refused the memory for them. That of
`linear_softmax_focal_loss` has the logits of a few rows at a time, and trains. The text is what
came with Python.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.traverse_util import unflatten_dict
from jax import Array
from tqdm import tqdm

from benchmarks.process import fresh, limited, peak
from focal_jax import linear_softmax_focal_loss, softmax_focal_loss

from .vocabulary.recipe import FULL, QUICK, Attempt, Recipe
from .vocabulary.report import arguments, report
from .vocabulary.words import Words, dataset, sample
from .weights import Arrays, dense, draws, kernel


class NextWord(nnx.Module):
    """One hidden layer on the embedded words before. A word without a class has an embedding as
    well."""

    def __init__(self, classes: int, recipe: Recipe, rngs: nnx.Rngs) -> None:
        self.embed = nnx.Embed(classes + 1, recipe.width, rngs=rngs)
        self.hidden = nnx.Linear(recipe.context * recipe.width, recipe.width, rngs=rngs)
        self.last = nnx.Linear(recipe.width, classes, use_bias=False, rngs=rngs)

    def features(self, words: Array) -> Array:
        """All but the last layer."""
        embedded = self.embed(words)
        # The words before stand side by side.
        inputs = embedded.reshape(*embedded.shape[:-2], -1)
        return jnp.tanh(self.hidden(inputs))


Loss = Callable[[NextWord, Array, Array, Recipe], Array]


def fused(model: NextWord, words: Array, ids: Array, recipe: Recipe) -> Array:
    x, kernel = model.features(words), model.last.kernel[...]
    classes = kernel.shape[1]
    return linear_softmax_focal_loss(x, kernel, ids, ignore_index=classes, chunk_size=recipe.chunk)


def unfused(model: NextWord, words: Array, ids: Array, recipe: Recipe) -> Array:
    logits = model.last(model.features(words))
    return softmax_focal_loss(logits, ids, ignore_index=logits.shape[1], reduction="mean")


LOSSES: dict[str, Loss] = {"fused": fused, "unfused": unfused}


@nnx.jit(static_argnames=("loss", "recipe"), donate_argnames=("model", "optimizer"))
def step(
    model: NextWord, optimizer: nnx.Optimizer, words: Array, ids: Array, loss: Loss, recipe: Recipe
) -> Array:
    def objective(model: NextWord) -> Array:
        return loss(model, words, ids, recipe)

    value, gradient = nnx.value_and_grad(objective)(model)
    optimizer.update(model, gradient)
    return value


@nnx.jit
def hits(model: NextWord, words: Array, ids: Array) -> Array:
    """How many words have the largest logit."""
    logits = model.last(model.features(words))
    return (logits.argmax(-1) == ids).sum()


def initial_weights(classes: int, recipe: Recipe) -> Arrays:
    """In float32, with the variances of Flax."""
    source, width = draws(recipe.seed), recipe.width
    weights = Arrays()
    weights["embed.embedding"] = kernel(source, (classes + 1, width), sqrt(1 / width))
    weights["hidden.kernel"] = dense(source, recipe.context * width, width)
    weights["hidden.bias"] = np.zeros(width, np.float32)
    weights["last.kernel"] = dense(source, width, classes)
    return weights


def start(classes: int, recipe: Recipe) -> tuple[NextWord, nnx.Optimizer]:
    model = NextWord(classes, recipe, nnx.Rngs(0))
    weights = initial_weights(classes, recipe)
    arrays = {name: jnp.asarray(x) for name, x in weights.items()}
    nnx.update(model, unflatten_dict(arrays, sep="."))
    return model, nnx.Optimizer(model, optax.adam(recipe.learning_rate), wrt=nnx.Param)


def attempt(name: str, recipe: Recipe, bound: bool = True) -> Attempt:
    """Train with one loss. From the first step on the process may take no more than the limit."""
    words = dataset(recipe.words, recipe.classes)
    both = start(words.classes, recipe)
    batches = sample(words.train, recipe.context, recipe.shape, recipe.seed)
    program = compiled(both, batches, LOSSES[name], recipe)
    before = accuracy(both[0], words, recipe)
    curve: list[float] = []
    refused, held = "", 0
    try:
        with limited(recipe.limit if bound else 1024 * recipe.limit):
            held, _ = peak(lambda: train(program, both, batches, name, curve))
    except jax.errors.JaxRuntimeError as error:
        refused = str(error).splitlines()[0]
    # A model that was donated to a step without memory is gone.
    after = before if refused else accuracy(both[0], words, recipe)
    return Attempt(temporaries(program), refused, held, np.array(curve), before, after)


def compiled(
    both: tuple[NextWord, nnx.Optimizer],
    batches: tuple[np.ndarray, np.ndarray],
    loss: Loss,
    recipe: Recipe,
) -> Any:
    """Before the limit is set: a compiler takes more memory than a step."""
    words, ids = (jnp.asarray(x[0]) for x in batches)
    return step.lower(*both, words, ids, loss, recipe).compile()


def train(
    program: Any,
    both: tuple[NextWord, nnx.Optimizer],
    batches: tuple[np.ndarray, np.ndarray],
    name: str,
    curve: list[float],
) -> None:
    """Every loss is put into the curve as it comes, so that a refused step leaves those before."""
    bar = tqdm(batches[0], name, disable=None)
    for words, ids in zip(bar, batches[1], strict=True):
        value = program(*both, jnp.asarray(words), jnp.asarray(ids))
        curve.append(float(value))


def temporaries(program: Any) -> int:
    memory = program.compiled.memory_analysis()
    assert memory is not None, "every backend of jaxlib knows its memory"
    return memory.temp_size_in_bytes


def accuracy(model: NextWord, words: Words, recipe: Recipe) -> float:
    """Of words that are held out, as many rows at a time as the loss has. A word without a class is
    never right."""
    shape = (recipe.judged // recipe.chunk, recipe.chunk)
    chunks, ids = sample(words.held_out, recipe.context, shape, recipe.seed)
    right = 0
    for chunk, answers in zip(chunks, ids, strict=True):
        right += int(hits(model, jnp.asarray(chunk), jnp.asarray(answers)))
    return right / ids.size


def most_frequent(recipe: Recipe) -> tuple[int, float]:
    """The number of classes, and how often the most frequent word is right: what a model has to be
    better than."""
    words = dataset(recipe.words, recipe.classes)
    return words.classes, float(np.mean(words.held_out == 0))


def main() -> None:
    args = arguments(__doc__)
    recipe = QUICK if args.quick else FULL
    attempts = {name: fresh(recipe.seconds, attempt, name, recipe) for name in LOSSES}
    classes, most = fresh(recipe.seconds, most_frequent, recipe)
    facts = f"{classes:,} classes; the most frequent word is right {most:.1%} of the time"
    report(attempts, recipe, facts, args.out)


if __name__ == "__main__":
    main()

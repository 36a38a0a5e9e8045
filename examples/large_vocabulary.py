"""Predict the next of 100,000 words within a limit to memory that the logits of a batch do not fit
in.

The step of `softmax_focal_loss` makes all logits and is refused the memory for them. That of
`linear_softmax_focal_loss` has the logits of a few rows at a time, and trains. The text is what
came with Python.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.traverse_util import unflatten_dict
from jax import Array
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from benchmarks.process import MIB, fresh, limited, peak
from focal_jax import linear_softmax_focal_loss, softmax_focal_loss

from .caravan import save
from .weights import Arrays, dense, draws, kernel
from .words import Words, dataset, sample


@dataclass(frozen=True)
class Recipe:
    """What is trained, and the bytes that it may take beyond model, optimiser and data."""

    words: int = 8_000_000
    classes: int = 100_000
    limit: int = 320 * MIB
    batch: int = 2048
    steps: int = 25
    judged: int = 2048
    context: int = 4
    width: int = 64
    chunk: int = 32
    learning_rate: float = 1e-2
    seconds: float = 300.0
    seed: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        return self.steps, self.batch


FULL = Recipe()
QUICK = Recipe(
    words=300_000,
    classes=16_384,
    limit=96 * MIB,
    batch=6144,
    steps=20,
    judged=512,
    width=16,
    seconds=90.0,
)


class Attempt(NamedTuple):
    """What became of training with one loss. `temporaries` are those of the compiler, `held` is
    what was measured."""

    temporaries: int
    refused: str
    held: int
    curve: np.ndarray
    # Held out: how often the word was the right one, of the model at its start and at its end.
    before: float
    after: float


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
        return jnp.tanh(self.hidden(embedded.reshape(*embedded.shape[:-2], -1)))


Loss = Callable[[NextWord, Array, Array, Recipe], Array]


def fused(model: NextWord, words: Array, ids: Array, recipe: Recipe) -> Array:
    x, kernel = model.features(words), model.last.kernel[...]
    return linear_softmax_focal_loss(
        x, kernel, ids, ignore_index=kernel.shape[1], chunk_size=recipe.chunk
    )


def unfused(model: NextWord, words: Array, ids: Array, recipe: Recipe) -> Array:
    logits = model.last(model.features(words))
    return softmax_focal_loss(logits, ids, ignore_index=logits.shape[1], reduction="mean")


LOSSES: dict[str, Loss] = {"fused": fused, "unfused": unfused}


@nnx.jit(static_argnames=("loss", "recipe"), donate_argnames=("model", "optimizer"))
def step(
    model: NextWord, optimizer: nnx.Optimizer, words: Array, ids: Array, loss: Loss, recipe: Recipe
) -> Array:
    value, gradient = nnx.value_and_grad(lambda model: loss(model, words, ids, recipe))(model)
    optimizer.update(model, gradient)
    return value


@nnx.jit
def hits(model: NextWord, words: Array, ids: Array) -> Array:
    """How many words have the largest logit."""
    return (model.last(model.features(words)).argmax(-1) == ids).sum()


def initial_weights(classes: int, recipe: Recipe) -> Arrays:
    """In float32, with the variances of Flax."""
    source, width = draws(recipe.seed), recipe.width
    return {
        "embed.embedding": kernel(source, (classes + 1, width), sqrt(1 / width)),
        "hidden.kernel": dense(source, recipe.context * width, width),
        "hidden.bias": np.zeros(width, np.float32),
        "last.kernel": dense(source, width, classes),
    }


def start(classes: int, recipe: Recipe) -> tuple[NextWord, nnx.Optimizer]:
    model = NextWord(classes, recipe, nnx.Rngs(0))
    arrays = {name: jnp.asarray(x) for name, x in initial_weights(classes, recipe).items()}
    nnx.update(model, unflatten_dict(arrays, sep="."))
    return model, nnx.Optimizer(model, optax.adam(recipe.learning_rate), wrt=nnx.Param)


def attempt(name: str, recipe: Recipe, bound: bool = True) -> Attempt:
    """Train with one loss. From the first step on the process may take no more than the limit."""
    words = dataset(recipe.words, recipe.classes)
    both, batches = (
        start(words.classes, recipe),
        sample(words.train, recipe.context, recipe.shape, recipe.seed),
    )
    program = step.lower(
        *both, *(jnp.asarray(x[0]) for x in batches), LOSSES[name], recipe
    ).compile()
    before, curve, refused, held = accuracy(both[0], words, recipe), list[float](), "", 0
    try:
        with limited(recipe.limit if bound else 1024 * recipe.limit):
            held, _ = peak(lambda: train(program, both, batches, name, curve))
    except jax.errors.JaxRuntimeError as error:
        refused = str(error).splitlines()[0]
    # A model that was donated to a step without memory is gone.
    after = before if refused else accuracy(both[0], words, recipe)
    return Attempt(temporaries(program), refused, held, np.array(curve), before, after)


def train(
    program: Any,
    both: tuple[NextWord, nnx.Optimizer],
    batches: tuple[np.ndarray, ...],
    name: str,
    curve: list[float],
) -> None:
    """Compiled before: a compiler takes more memory than a step."""
    for words, ids in zip(tqdm(batches[0], name, disable=None), batches[1], strict=True):
        curve.append(float(program(*both, jnp.asarray(words), jnp.asarray(ids))))


def temporaries(program: Any) -> int:
    memory = program.compiled.memory_analysis()
    assert memory is not None, "every backend of jaxlib knows its memory"
    return memory.temp_size_in_bytes


def accuracy(model: NextWord, words: Words, recipe: Recipe) -> float:
    """Of words that are held out, as many rows at a time as the loss has. A word without a class is
    never right."""
    chosen = sample(
        words.held_out, recipe.context, (recipe.judged // recipe.chunk, recipe.chunk), recipe.seed
    )
    found = [
        int(hits(model, jnp.asarray(x), jnp.asarray(ids))) for x, ids in zip(*chosen, strict=True)
    ]
    return sum(found) / chosen[1].size


def most_frequent(recipe: Recipe) -> tuple[int, float]:
    """The number of classes, and how often the most frequent word is right: what a model has to be
    better than."""
    words = dataset(recipe.words, recipe.classes)
    return words.classes, float(np.mean(words.held_out == 0))


def table(found: dict[str, Attempt], recipe: Recipe) -> Table:
    sheet = Table(
        "loss", title=f"{recipe.batch:,} words a step, in at most {recipe.limit // MIB} MiB"
    )
    for name in ("temporaries", "measured", "first loss", "last loss", "right", "then"):
        sheet.add_column(name, justify="right", no_wrap=True)
    for name, one in found.items():
        held, losses = (
            f"{one.held / MIB:.0f} MiB",
            [f"{x:.3f}" for x in one.curve[[0, -1]]] if len(one.curve) else [],
        )
        trained = (
            ("refused", "", "", "", "")
            if one.refused
            else (held, *losses, f"{one.before:.1%}", f"{one.after:.1%}")
        )
        sheet.add_row(name, f"{one.temporaries / MIB:.0f} MiB", *trained)
    return sheet


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of the curve (default: out)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer words and classes")
    args = parser.parse_args()
    recipe = QUICK if args.quick else FULL
    found = {name: fresh(recipe.seconds, attempt, name, recipe) for name in LOSSES}
    classes, most = fresh(recipe.seconds, most_frequent, recipe)
    path = args.out / "curve_large_vocabulary.npz"
    save(path, {"curve": found["fused"].curve})
    facts = f"{classes:,} classes; the most frequent word is right {most:.1%} of the time"
    Console().print(
        table(found, recipe), facts, found["unfused"].refused, f"wrote {path}", sep="\n"
    )


if __name__ == "__main__":
    main()

"""The two problems: digits that people wrote, in ten classes, and Caravan, in two of which one is
rare.

Each seed has a split of its own into three parts: to train on, to fit a temperature on, and to
judge by.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit

from ..training import caravan
from ..weights import Arrays, network


class Part(NamedTuple):
    """Features are float32 of shape (samples, features), labels class ids of shape (samples,)."""

    x: np.ndarray
    y: np.ndarray


class Split(NamedTuple):
    train: Part
    validation: Part
    test: Part


@dataclass(frozen=True)
class Problem:
    """Data, and how a network is trained on them."""

    name: str
    features: int
    # A softmax has a logit for each class; 1 is a sigmoid.
    outputs: int
    split: Callable[[int], Split]
    width: int
    epochs: int
    batch_size: int
    learning_rate: float = 1e-3

    def initial_weights(self, seed: int) -> Arrays:
        width = self.width
        hidden = {"first": (self.features, width), "second": (width, width)}
        return network(seed, hidden | {"last": (width, self.outputs)})

    def batches(self, samples: int, seed: int) -> np.ndarray:
        """Indices of shape (steps, batch size): each epoch is a new permutation, less its
        incomplete batch."""
        recipe = caravan.Recipe(seed=seed, epochs=self.epochs, batch_size=self.batch_size)
        return caravan.batches(samples, recipe).reshape(-1, self.batch_size)


def parts(whole: Part, first: int, seed: int) -> tuple[Part, Part]:
    """The first part has so many samples, and both have the classes in the same proportions."""
    rest = len(whole.y) - first
    split = StratifiedShuffleSplit(1, train_size=first, test_size=rest, random_state=seed)
    a, b = next(split.split(whole.x, whole.y))
    return Part(whole.x[a], whole.y[a]), Part(whole.x[b], whole.y[b])


def digits(seed: int, train: int = 300, validation: int = 300) -> Split:
    """Of 1,797 digits most are there to judge by: a few hundred would leave the errors of
    calibration uncertain."""
    x, y = (np.asarray(array) for array in load_digits(return_X_y=True))
    # Pixels go to 16.
    whole = Part((x / 16).astype(np.float32), y)
    first, rest = parts(whole, train, seed)
    return Split(first, *parts(rest, validation, seed))


def customers(seed: int, validation: int = 1000) -> Split:
    data = caravan.dataset(replace(caravan.RECIPE, seed=seed))
    rest = Part(data.train_x.astype(np.float32), data.train_y.astype(int))
    test = Part(data.test_x.astype(np.float32), data.test_y.astype(int))
    return Split(*parts(rest, len(rest.y) - validation, seed), test)


# The digits are trained on long after the network knows them all, which makes it too sure; Caravan
# as in `train_jax`.
DIGITS = Problem("digits", 64, 10, digits, width=256, epochs=300, batch_size=50)
CARAVAN = Problem("Caravan", caravan.FEATURES, 1, customers, width=64, epochs=10, batch_size=128)
PROBLEMS = (DIGITS, CARAVAN)

"""The steps of a training: which scenes each of them sees, and its learning rate."""

from math import ceil
from typing import Protocol

import numpy as np

from parity_tests.contract.exact import Draws

# Where the cycle begins and where it ends, as parts of its peak: those of PyTorch's OneCycleLR.
BEGIN, END = 1 / 25, 1 / 250_000


class Training(Protocol):
    """What a recipe says of its steps: of how many scenes for training, how many in a batch, the
    largest learning rate, and the part of the steps that lead up to it."""

    @property
    def train(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def warm_up(self) -> float: ...


def batches(recipe: Training, seed: int) -> np.ndarray:
    """Indices of shape (steps, batch size): a permutation of all scenes after the other."""
    source = Draws(seed)
    needed = recipe.steps * recipe.batch_size
    epochs = [source.permutation(recipe.train) for _ in range(ceil(needed / recipe.train))]
    indices = np.concatenate(epochs)[:needed]
    return indices.reshape(recipe.steps, recipe.batch_size)


def learning_rates(recipe: Training) -> np.ndarray:
    """Of every step: one cycle, up and down along cosines (Smith and Topin 2017,
    arXiv:1708.07120)."""
    step = np.arange(recipe.steps)
    top = recipe.warm_up * recipe.steps
    up = _cosine(BEGIN, 1, step / top)
    down = _cosine(1, END, (step - top) / (recipe.steps - top))
    return recipe.learning_rate * np.where(step < top, up, down)


def _cosine(first: float, last: float, part: np.ndarray) -> np.ndarray:
    return last + (first - last) * (1 + np.cos(np.pi * part)) / 2

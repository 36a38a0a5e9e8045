"""The learning rate of every step: one cycle, up and down along cosines (Smith and Topin 2017,
arXiv:1708.07120)."""

import numpy as np

from .recipe import Recipe

# Where the cycle begins and where it ends, as parts of its peak: those of PyTorch's OneCycleLR.
BEGIN, END = 1 / 25, 1 / 250_000


def learning_rates(recipe: Recipe) -> np.ndarray:
    step = np.arange(recipe.steps)
    top = recipe.warm_up * recipe.steps
    up = _cosine(BEGIN, 1, step / top)
    down = _cosine(1, END, (step - top) / (recipe.steps - top))
    return recipe.learning_rate * np.where(step < top, up, down)


def _cosine(first: float, last: float, part: np.ndarray) -> np.ndarray:
    return last + (first - last) * (1 + np.cos(np.pi * part)) / 2

"""What both frameworks have in common: the losses, the data, the steps, and the weights that
training starts from."""

from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np

from parity_tests.contract.exact import Draws

from ..weights import Arrays, draws, kernel
from .anchors import SCALES, Targets, targets
from .scenes import CLASSES, Scenes, scenes


class Loss(NamedTuple):
    """The settings of a sigmoid focal loss, γ = 0 being the cross entropy, and the score that
    training starts with."""

    alpha: float | None
    gamma: float
    prior: float = 0.01


# The first three are what came before focal loss. α = None weights nothing, so that the rows of γ
# differ in γ alone.
LOSSES = {
    "cross entropy": Loss(None, 0.0, 0.5),
    "cross entropy, α = 0.75": Loss(0.75, 0.0, 0.5),
    "cross entropy, prior": Loss(None, 0.0),
    "focal, γ = 0.5": Loss(None, 0.5),
    "focal, γ = 1": Loss(None, 1.0),
    "focal, γ = 2": Loss(None, 2.0),
    "focal, γ = 5": Loss(None, 5.0),
}


@dataclass(frozen=True)
class Recipe:
    """No value was chosen for one loss: all have the same scenes, batches, weights and steps."""

    train: int = 1024
    test: int = 256
    steps: int = 300
    batch_size: int = 16
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    # From where smooth L1 is linear, and its part in the whole.
    beta: float = 0.5
    box_weight: float = 0.5


RECIPE = Recipe()
QUICK = replace(RECIPE, train=128, test=32, steps=40)

# Every convolution: the side of its kernel, channels in and out. All but the heads are followed by
# silu.
ANCHORS_PER_PLACE = len(SCALES)
WIDTH = 32
LAYERS = {
    "stem": (3, 1, 16),
    "down1": (3, 16, 32),
    "down2": (3, 32, 48),
    "down3": (3, 48, 64),
    "lateral1": (1, 32, WIDTH),
    "lateral2": (1, 48, WIDTH),
    "lateral3": (1, 64, WIDTH),
    "tower": (3, WIDTH, WIDTH),
    "classes": (3, WIDTH, ANCHORS_PER_PLACE * CLASSES),
    "boxes": (3, WIDTH, ANCHORS_PER_PLACE * 4),
}


class Data(NamedTuple):
    """Images of shape (scenes, SIDE, SIDE), of mean 0 and deviation 1 or nearly, and the targets of
    their anchors."""

    images: np.ndarray
    targets: Targets
    scenes: Scenes


class Run(NamedTuple):
    """Of every step the loss and the share of it that background has, and the answers for the test
    scenes."""

    losses: np.ndarray
    shares: np.ndarray
    logits: np.ndarray
    boxes: np.ndarray


def dataset(part: str, recipe: Recipe, seed: int) -> Data:
    made = scenes(part, getattr(recipe, part), seed)
    return Data((made.images - 0.45) / 0.25, targets(made), made)


def initial_weights(seed: int) -> Arrays:
    """Kernels of shape (height, width, in, out) and biases, in float32. The heads begin with small
    weights."""
    source, weights = draws(seed), Arrays()
    for name, (side, inputs, outputs) in LAYERS.items():
        shape = (side, side, inputs, outputs)
        deviation = 0.01 if name in ("classes", "boxes") else sqrt(2 / (side * side * inputs))
        weights[f"{name}.kernel"] = kernel(source, shape, deviation)
        weights[f"{name}.bias"] = np.zeros(outputs, np.float32)
    return weights


def with_prior(weights: Arrays, bias: float) -> Arrays:
    """The same weights, with a bias of the class logits that makes their scores the prior."""
    before = weights["classes.bias"]
    return weights | {"classes.bias": np.full(before.shape, bias, before.dtype)}


def batches(recipe: Recipe, seed: int) -> np.ndarray:
    """Indices of shape (steps, batch size): a permutation of all scenes after the other."""
    source = Draws(seed)
    needed = recipe.steps * recipe.batch_size
    epochs = [source.permutation(recipe.train) for _ in range(ceil(needed / recipe.train))]
    indices = np.concatenate(epochs)[:needed]
    return indices.reshape(recipe.steps, recipe.batch_size)

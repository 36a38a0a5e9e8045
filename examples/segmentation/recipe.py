"""What both frameworks have in common: the losses, the data, the steps, and the weights that
training starts from."""

from dataclasses import dataclass, replace
from math import sqrt
from typing import NamedTuple

import numpy as np

from ..detection.network import Layer, kernel_of
from ..weights import Arrays, draws
from .scenes import Scenes, scenes

# The score that training starts with: about the share of strokes.
PRIOR = 0.01


class Loss(NamedTuple):
    """The settings of a sigmoid focal loss, γ = 0 being the cross entropy, and whether the Dice
    loss is added to it."""

    alpha: float | None
    gamma: float
    dice: bool = False


LOSSES = {
    "CE": Loss(None, 0.0),
    "CE, α = 0.75": Loss(0.75, 0.0),
    "focal, γ = 2": Loss(None, 2.0),
    "Dice + CE": Loss(None, 0.0, dice=True),
    "Dice + focal, γ = 2": Loss(None, 2.0, dice=True),
}
BEFORE, AFTER = "CE", "focal, γ = 2"


@dataclass(frozen=True)
class Recipe:
    """No value was chosen for one loss: all have the same scenes, batches, weights and steps."""

    train: int = 1024
    validation: int = 64
    test: int = 128
    steps: int = 1000
    # After how many steps the scenes of the other two parts are looked at.
    looks: tuple[int, ...] = (100, 250, 500, 750, 1000)
    batch_size: int = 8
    learning_rate: float = 3e-3
    warm_up: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01
    clip: float = 10.0


RECIPE = Recipe()
QUICK = replace(RECIPE, train=32, validation=8, test=8, steps=10, looks=(5, 10))

# The convolutions that group normalisation and silu follow, and the last one.
BLOCKS = {
    "stem": Layer(3, 1, 16),
    "down1": Layer(3, 16, 24, 2),
    "down2": Layer(3, 24, 48, 2),
    "middle": Layer(3, 48, 48),
    "up1": Layer(3, 48 + 24, 24),
    "up0": Layer(3, 24 + 16, 16),
}
HEAD = Layer(1, 16, 1)


class Data(NamedTuple):
    """Images of shape (scenes, SIDE, SIDE), of mean 0 and deviation 1 or nearly, and which of their
    pixels are strokes."""

    images: np.ndarray
    scenes: Scenes


class Answers(NamedTuple):
    """The logits of the scenes that a threshold is chosen in, and of those of the test: both of
    shape (scenes, SIDE, SIDE)."""

    validation: np.ndarray
    test: np.ndarray


class Run(NamedTuple):
    """The loss of every step, and the answers after each number of steps at which it was looked."""

    losses: np.ndarray
    answers: dict[int, Answers]


def dataset(part: str, recipe: Recipe, seed: int) -> Data:
    made = scenes(part, getattr(recipe, part), seed)
    return Data((made.images - 0.45) / 0.25, made)


def initial_weights(seed: int, bias: float) -> Arrays:
    """Kernels of shape (height, width, in, out), scales and biases, in float32. The last layer
    begins with small weights, and a bias that makes its scores the prior."""
    source, weights = draws(seed), Arrays()
    for name, layer in BLOCKS.items():
        deviation = sqrt(2 / (layer.side * layer.side * layer.inputs))
        weights[f"{name}.conv.kernel"] = kernel_of(source, layer, deviation)
        weights[f"{name}.norm.scale"] = np.ones(layer.outputs, np.float32)
        weights[f"{name}.norm.bias"] = np.zeros(layer.outputs, np.float32)
    weights["strokes.kernel"] = kernel_of(source, HEAD, 0.01)
    weights["strokes.bias"] = np.full(HEAD.outputs, bias, np.float32)
    return weights

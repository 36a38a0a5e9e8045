"""The convolutions of the detector, and the weights that training starts from."""

from math import sqrt
from typing import NamedTuple

import numpy as np

from parity_tests.contract.exact import Draws

from ..weights import Arrays, draws, kernel
from .anchors import SCALES
from .recipe import Recipe
from .scenes import CLASSES

# Of group normalisation.
GROUPS = 8


class Layer(NamedTuple):
    """A convolution: the side of its kernel, channels in and out, and the pixels between places."""

    side: int
    inputs: int
    outputs: int
    stride: int = 1


def blocks(recipe: Recipe) -> dict[str, Layer]:
    """The convolutions that group normalisation follows; they have no bias."""
    first, second, third = recipe.stages
    layers = {}
    layers["stem"] = Layer(3, 1, recipe.stem, 2)
    layers["down1"] = Layer(3, recipe.stem, first, 2)
    layers["conv1"] = Layer(3, first, first)
    layers["down2"] = Layer(3, first, second, 2)
    layers["conv2"] = Layer(3, second, second)
    layers["down3"] = Layer(3, second, third, 2)
    layers["conv3"] = Layer(3, third, third)
    return layers


def plain_layers(recipe: Recipe) -> dict[str, Layer]:
    """The convolutions without it. In the towers it would make the noise of a level that has no
    digit as large as a digit."""
    first, second, third = recipe.stages
    width = recipe.pyramid
    layers = {}
    layers["lateral1"] = Layer(1, first, width)
    layers["lateral2"] = Layer(1, second, width)
    layers["lateral3"] = Layer(1, third, width)
    layers["tower1"] = Layer(3, width, width)
    layers["tower2"] = Layer(3, width, width)
    anchors = len(SCALES)
    layers["classes"] = Layer(3, width, anchors * CLASSES)
    layers["boxes"] = Layer(3, width, anchors * 4)
    return layers


def initial_weights(recipe: Recipe, seed: int) -> Arrays:
    """Kernels of shape (height, width, in, out), scales and biases, in float32. The heads begin
    with small weights."""
    source, weights = draws(seed), Arrays()
    for name, layer in blocks(recipe).items():
        weights[f"{name}.conv.kernel"] = kernel_of(source, layer, _deviation(layer))
        weights[f"{name}.norm.scale"] = np.ones(layer.outputs, np.float32)
        weights[f"{name}.norm.bias"] = np.zeros(layer.outputs, np.float32)
    for name, layer in plain_layers(recipe).items():
        deviation = 0.01 if name in ("classes", "boxes") else _deviation(layer)
        weights[f"{name}.kernel"] = kernel_of(source, layer, deviation)
        weights[f"{name}.bias"] = np.zeros(layer.outputs, np.float32)
    return weights


def _deviation(layer: Layer) -> float:
    """That of PyTorch's convolutions."""
    return sqrt(1 / (3 * layer.side * layer.side * layer.inputs))


def kernel_of(source: Draws, layer: Layer, deviation: float) -> np.ndarray:
    """Of shape (height, width, in, out), in float32."""
    return kernel(source, (layer.side, layer.side, layer.inputs, layer.outputs), deviation)


def with_prior(weights: Arrays, bias: float) -> Arrays:
    """The same weights, with a bias of the class logits that makes their scores the prior."""
    before = weights["classes.bias"]
    return weights | {"classes.bias": np.full(before.shape, bias, before.dtype)}

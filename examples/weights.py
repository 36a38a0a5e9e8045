"""Where trainings start: weights of the same bits on every processor, for either framework."""

import math

import numpy as np

from parity_tests.contract.exact import Draws

Arrays = dict[str, np.ndarray]
# Beside the seed, so that weights have other bits than what else is drawn with it.
STREAM = 1


def draws(seed: int) -> Draws:
    return Draws((seed, STREAM))


def kernel(source: Draws, shape: tuple[int, ...], deviation: float) -> np.ndarray:
    """Nearly normal, in float32. A row at a time, as a number is made of twelve."""
    rows = []
    for _ in range(shape[0]):
        row = deviation * source.bell(shape[1:])
        rows.append(row.astype(np.float32))
    return np.stack(rows)


def dense(source: Draws, inputs: int, outputs: int) -> np.ndarray:
    """A kernel of shape (inputs, outputs) with the variance 1 / inputs, as in Flax and LeCun 1998.

    Flax cuts the normal distribution at two deviations, and makes it wider for that. This one ends
    at six.
    """
    return kernel(source, (inputs, outputs), math.sqrt(1 / inputs))


def network(seed: int, sizes: dict[str, tuple[int, int]]) -> Arrays:
    """Kernels and biases of 0, by the names of their layers."""
    source, weights = draws(seed), Arrays()
    for name, (inputs, outputs) in sizes.items():
        weights[f"{name}.kernel"] = dense(source, inputs, outputs)
        weights[f"{name}.bias"] = np.zeros(outputs, np.float32)
    return weights

"""Numbers between bins as class probabilities, and their loss."""

from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from parity_tests.contract.exact import Draws
from parity_tests.contract.port import Port
from parity_tests.tests.parametrize import both_packages

from .recipe_calls import each_dtype, recipe_of, require


@both_packages
@each_dtype
def test_numbers_between_bins(port: Port, dtype: str) -> None:
    values = Draws(4).uniform(0, 15, (40, 4)).astype(dtype)
    probabilities = recipe_of(port, "two_hot", values, 16)
    assert probabilities.shape == (40, 4, 16)
    assert np.all((probabilities > 0).sum(-1) <= 2)
    require(probabilities.sum(-1), np.ones(values.shape), dtype)
    require(probabilities @ np.arange(16.0), values.astype(float), dtype)


@both_packages
def test_bins_of_half_precision_and_at_both_ends(port: Port) -> None:
    half = port.module.two_hot(port.array(np.array([2.25, 3.0], np.float16)), 4)
    assert "float32" in str(half.dtype)
    assert_array_equal(port.numpy(half), [[0, 0, 0.75, 0.25], [0, 0, 0, 1]])
    assert_array_equal(recipe_of(port, "two_hot", np.array([0.0]), 1), [[1]])
    assert recipe_of(port, "two_hot", np.zeros((0, 4)), 16).shape == (0, 4, 16)


@both_packages
def test_the_slopes_of_bins(port: Port) -> None:
    values, weights = np.array([0.0, 1.5, 3.0]), np.array([1.0, 2.0, 4.0, 8.0])

    def weighted(x: Any) -> Any:
        return (port.module.two_hot(x, 4) * port.array(weights)[None]).sum(-1)

    # The weight of the bin above less that of the bin below; the last bin has none above it.
    assert_array_equal(port.gradient(weighted, values), [1, 2, 4])


@both_packages
def test_the_distribution_focal_loss(port: Port) -> None:
    """As it is written elsewhere: two logarithms of a softmax."""
    logits = Draws(5).bell((12, 17)) * 3
    values = np.concatenate([[0.0, 5.0, 16.0], Draws(6).uniform(0, 16, 9)])
    targets = port.module.two_hot(port.array(values), 17)
    losses = port.module.softmax_focal_loss(port.array(logits), targets, gamma=0.0, axis=-1)
    below = np.minimum(np.floor(values), 15).astype(int)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    rows = np.arange(12)
    expected = (below + 1 - values) * log_p[rows, below] + (values - below) * log_p[rows, below + 1]
    assert_allclose(port.numpy(losses), -expected, rtol=1e-12)

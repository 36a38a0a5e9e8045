"""Derivatives of what surrounds the loss, also where its formulas change branches: the bias at ½,
probabilities where a score is ½ or logits are equal."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import mpmath
import numpy as np
import pytest

from parity_tests.contract.exact import spaced
from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import EPS
from parity_tests.tests.parametrize import both_packages
from parity_tests.truth import recipe_oracle
from parity_tests.truth.jets import Jet

DIGITS = 60
GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
# A slope is a product of a few numbers, and each has a rounding.
ROUNDINGS = 16.0


def slope(recipe: Callable[[Any], Jet], at: float) -> float:
    """The derivative of the first entry of a jet."""

    def first(x: Any) -> Any:
        return next(iter(recipe(x).values())).value

    with mpmath.workdps(DIGITS):
        return float(mpmath.diff(first, at))


def posterior(x: Any, row: Sequence[float], k: int, gamma: float) -> Jet:
    """Of a row whose logit k is x."""
    logits = [*row[:k], x, *row[k + 1 :]]
    return recipe_oracle.posterior_from_focal(logits, gamma)


@both_packages
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bias_of_a_prior(port: Port, dtype: str) -> None:
    # The square of the first overflows in float32.
    priors = np.array([1e-30, 0.01, 0.2, 0.25, 0.4999, 0.5, 0.5001, 0.75, 0.999], dtype)
    expected = [slope(recipe_oracle.prior_bias, float(x)) for x in priors]
    result = port.gradient(port.module.prior_bias, priors)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, expected, rtol=ROUNDINGS * EPS[dtype])


@both_packages
@pytest.mark.parametrize("gamma", GAMMAS)
def test_posteriors_of_a_sigmoid(port: Port, gamma: float) -> None:
    z = np.append(spaced(-20, 20, 40), [0.0, 1e-9, -1e-9])
    # The softmax of z and 0 is the sigmoid of z.
    expected = [slope(lambda x: posterior(x, [0, 0], 0, gamma), at) for at in z]
    result = port.gradient(partial(port.module.posterior_from_focal, gamma=gamma), z)
    # An error of an exponent is a relative one of its exponential.
    units = ROUNDINGS + 5 * (1 + gamma) * np.abs(z)
    error = np.abs(result - expected) / np.abs(expected) / EPS["float64"]
    assert np.all(error <= units), error / units


@both_packages
@pytest.mark.parametrize("gamma", GAMMAS)
def test_posteriors_of_another_gamma(port: Port, gamma: float) -> None:
    # Without 0, at which they are ½ for every γ.
    z = spaced(-20, 20, 40)
    expected = [
        slope(lambda x, at=at: recipe_oracle.posterior_from_focal(at, x), gamma) for at in z
    ]
    logits = port.array(z)
    posteriors = partial(port.module.posterior_from_focal, logits)
    result = port.gradient(posteriors, np.full_like(z, gamma))
    units = ROUNDINGS + 5 * (1 + gamma) * np.abs(z)
    error = np.abs(result - expected) / np.abs(expected) / EPS["float64"]
    assert np.all(error <= units), error / units


@both_packages
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("row", [(0, 0), (1, 1, -3), (0, 0, 0), (2, 5, 5), (1, 2, 5)])
def test_posteriors_of_a_softmax(port: Port, row: tuple[float, ...], gamma: float) -> None:
    def of_first(z: Any) -> Any:
        return port.module.posterior_from_focal(z, gamma, axis=0)[0]

    expected: list[float] = []
    for k, at in enumerate(row):
        expected.append(slope(lambda x, k=k: posterior(x, row, k, gamma), at))
    result = port.gradient(of_first, np.array(row, float))
    # They add up to 0, so that each is as exact as the largest.
    largest = np.max(np.abs(expected))
    units = ROUNDINGS + 10 * (1 + gamma) * max(row)
    atol = units * EPS["float64"]
    np.testing.assert_allclose(result / largest, expected / largest, rtol=0, atol=atol)

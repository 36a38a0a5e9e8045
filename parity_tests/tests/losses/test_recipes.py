"""What surrounds the loss: the first bias, α from counts, γ from p_t, probabilities from scores,
against mpmath."""

from functools import partial
from inspect import signature
from typing import Any

import jax
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import focal_jax
import focal_torch
from parity_tests.contract.exact import Draws, spaced
from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import EPS, RECIPES
from parity_tests.tests.parametrize import both_packages
from parity_tests.truth import recipe_oracle
from parity_tests.truth.oracle import certified

from .recipe_calls import ROUNDINGS, each_dtype, recipe_of, require

# A margin, its product with 1 + γ, and their sums are rounded five times, by half a unit each.
EXPONENT = 2.5
GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
# Rows of logits that are close together, and rows in which one is far ahead.
SPREADS = np.repeat([0.1, 1.0, 8.0, 30.0], 12)
LOGITS = Draws(0).bell((48, 4)) * SPREADS[:, None]
each_gamma = pytest.mark.parametrize("gamma", GAMMAS)


def defaults(function: Any) -> dict[str, Any]:
    parameters = signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}


@both_packages
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_defaults_are_those_of_the_oracle(port: Port, recipe: str) -> None:
    expected = defaults(getattr(recipe_oracle, recipe))
    assert defaults(getattr(port.module, recipe)).items() >= expected.items()
    assert expected or recipe in ("prior_bias", "two_hot")


def truth_of(recipe: str, **arguments: Any) -> list[float]:
    function = getattr(recipe_oracle, recipe)
    jet = certified(lambda: function(**arguments))
    return [float(term.value) for term in jet.values()]


@both_packages
@each_dtype
def test_the_bias_of_a_prior(port: Port, dtype: str) -> None:
    numbers = [1e-30, 1e-8, 0.01, 0.2, 0.26, 0.4999, 0.5001, 0.7, 0.75, 0.8, 0.999]
    priors = np.array(numbers).astype(dtype)
    truth = np.array([truth_of("prior_bias", pi=x)[0] for x in priors.tolist()])
    require(recipe_of(port, "prior_bias", priors), truth, dtype)
    if dtype == "float64":
        require([port.module.prior_bias(x) for x in numbers], truth, dtype)
    assert port.module.prior_bias(0.5) == 0


@both_packages
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.999, 1 - 2**-30, 1.0])
def test_weights_of_counts(port: Port, beta: float) -> None:
    counts = np.array([1, 2, 30, 4000, 10**7], np.int32)
    truth = np.array(truth_of("alpha_from_counts", counts=counts.tolist(), beta=beta))
    # The sum and its quotient are roundings as well.
    units = 2 * ROUNDINGS
    for dtype in ("float32", "float64"):
        weights = recipe_of(port, "alpha_from_counts", counts.astype(dtype), beta=beta)
        require(weights, truth, dtype, units)
    whole = recipe_of(port, "alpha_from_counts", counts, beta=beta)
    require(whole, truth, "float32", units)
    assert np.all(np.diff(whole) <= 0)


@both_packages
def test_gamma_of_samples(port: Port) -> None:
    p_t = np.array([0.0, 0.1, np.nextafter(0.2, 0), 0.2, 1.0])
    gammas = recipe_of(port, "gamma_flsd", p_t)
    assert_array_equal(gammas, [5, 5, 5, 3, 3])
    gammas = recipe_of(port, "gamma_flsd", p_t, threshold=0.5, below=2.7, above=0.1)
    assert_array_equal(gammas, [2.7, 2.7, 2.7, 2.7, 0.1])


@both_packages
def test_gamma_of_samples_in_a_loss(port: Port) -> None:
    logits = port.array(LOGITS[:2])
    ids = port.array(np.array([0, 1]))

    def losses(gamma: Any) -> np.ndarray:
        loss = port.module.softmax_focal_loss(logits, ids, axis=-1, gamma=gamma)
        return port.numpy(loss)

    p_t = port.array(np.array([[0.1], [0.9]]))
    mixed = losses(port.module.gamma_flsd(p_t))
    expected = [losses(5.0)[0], losses(3.0)[1]]
    # An exponent in an array takes another way than one that is known, and each has its roundings.
    assert_allclose(mixed, expected, rtol=2 * ROUNDINGS * EPS["float64"])


@both_packages
@each_dtype
@each_gamma
def test_posteriors(port: Port, gamma: float, dtype: str) -> None:
    """An absolute error of an exponent is a relative one of its exponential; a softmax has the
    largest as well."""
    z = LOGITS.astype(dtype)
    largest = np.abs(z).max(-1, keepdims=True)
    per_size = EXPONENT * (1 + gamma)

    def truth(logits: Any) -> list[float]:
        return truth_of("posterior_from_focal", logits=logits, gamma=gamma)

    of_rows = np.array([truth(row) for row in z.tolist()])
    results = recipe_of(port, "posterior_from_focal", z, gamma, axis=-1)
    units = ROUNDINGS + per_size * 2 * largest
    require(results, of_rows, dtype, units)
    of_numbers = np.array([truth(x) for x in z.ravel().tolist()])
    results = recipe_of(port, "posterior_from_focal", z, gamma)
    units = ROUNDINGS + per_size * np.abs(z)
    require(results, of_numbers.reshape(z.shape), dtype, units)


@both_packages
@each_gamma
def test_the_loss_is_least_at_the_posterior(port: Port, gamma: float) -> None:
    """What the transformation is for: with its probabilities as targets, the slope is 0 where the
    model is."""
    z = LOGITS[:24]
    logits = port.array(z)
    posterior = port.module.posterior_from_focal

    def softmax_slope(targets: Any) -> float:
        loss = partial(port.module.softmax_focal_loss, targets=targets, axis=-1, gamma=gamma)
        return np.abs(port.gradient(loss, z)).max()

    targets = posterior(logits, gamma, axis=-1)
    assert softmax_slope(targets) <= 100 * EPS["float64"]
    settings = {"alpha": None, "gamma": gamma, "soft_targets": "mixture"}
    sigmoid = partial(port.module.sigmoid_focal_loss, targets=posterior(logits, gamma), **settings)
    slope = port.gradient(sigmoid, z)
    assert np.abs(slope).max() <= 100 * EPS["float64"]
    if gamma:
        scores = posterior(logits, 0.0, axis=-1)
        assert softmax_slope(scores) > 1e-3, "scores are no probabilities"


@both_packages
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_where_scores_are_flatter_than_probabilities(port: Port, gamma: float) -> None:
    """Of two classes everywhere; of a thousand where one of them is likely, and the other way where
    none is."""
    z = spaced(-20, 20, 400)
    scores = 1 / (1 + np.exp(-z))
    probabilities = recipe_of(port, "posterior_from_focal", z, gamma)
    distances = np.abs(probabilities - 0.5)
    assert np.all(distances >= np.abs(scores - 0.5))
    for score, flatter in ((0.6, True), (0.1, False)):
        odds_against_one_other = score / (1 - score) * 999
        many = np.append(np.log(odds_against_one_other), np.zeros(999))
        probabilities = recipe_of(port, "posterior_from_focal", many, gamma, axis=-1)
        assert (probabilities[0] > score) == flatter


@both_packages
def test_posteriors_of_extreme_logits(port: Port) -> None:
    z = np.array([np.inf, 1e4, 0.0, -1e4, -np.inf])
    results = recipe_of(port, "posterior_from_focal", z, 2.0)
    assert_array_equal(results, [1, 1, 0.5, 0, 0])
    rows = np.array([[0.0, 1e4, 0.0], [0.0, 0.0, -np.inf]])
    results = recipe_of(port, "posterior_from_focal", rows, 2.0, axis=1)
    assert_allclose(results, [[0, 1, 0], [0.5, 0.5, 0]], rtol=1e-15)
    half = np.zeros((2, 3), np.float16)
    results = recipe_of(port, "posterior_from_focal", half, axis=0)
    assert results.dtype == np.float16


def test_what_a_compiler_makes_of_them() -> None:
    z = LOGITS[:5]
    compiled = torch.compile(focal_torch.posterior_from_focal, fullgraph=True)
    for axis in (None, -1):
        ours = jax.jit(partial(focal_jax.posterior_from_focal, gamma=1.5, axis=axis))(z)
        theirs = compiled(torch.tensor(z), 1.5, axis=axis)
        assert_allclose(ours, theirs.numpy(), rtol=1e-12)
    counts = np.array([1.0, 2.0, 30.0])
    ours = jax.jit(focal_jax.alpha_from_counts)(counts)
    theirs = focal_torch.alpha_from_counts(torch.tensor(counts))
    assert_allclose(ours, theirs.numpy(), rtol=1e-12)

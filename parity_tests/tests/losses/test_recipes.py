"""What surrounds the loss: the first bias, α from counts, γ from p_t, probabilities from scores,
against mpmath."""

import re
from typing import Any

import jax
import numpy as np
import pytest
import torch

import focal_jax
import focal_torch
from parity_tests.contract import golden
from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.exact import Draws, spaced
from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import EPS, FLOOR, RECIPE, RECIPES
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.tests.parametrize import both_packages
from parity_tests.truth import recipe_oracle
from parity_tests.truth.oracle import certified

# A logarithm or a quotient is off by a unit each, and there are not more than four of them.
ROUNDINGS = 4.0
# A margin, its product with 1 + γ, and their sums are rounded five times, by half a unit each.
EXPONENT = 2.5
GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
# Rows of logits that are close together, and rows in which one is far ahead.
LOGITS = Draws(0).bell((48, 4)) * np.repeat([0.1, 1.0, 8.0, 30.0], 12)[:, None]


def truth_of(recipe: str, **arguments: Any) -> list[float]:
    jet = certified(lambda: getattr(recipe_oracle, recipe)(**arguments))
    return [float(term.value) for term in jet.values()]


def answers(port: Port, recipe: str, values: dict[str, float], dtype: str) -> np.ndarray:
    """What a package says of one sample of the vectors: numbered arguments are an array, in the
    dtype."""
    many = [x for name, x in values.items() if name[-1].isdigit()]
    rest = [x for name, x in values.items() if not name[-1].isdigit()]
    first = np.array(many or rest.pop(0), dtype)
    names = {"alpha_from_counts": ["beta"], "gamma_flsd": ["threshold", "below", "above"]}.get(
        recipe, ["gamma"]
    )
    axis = {"axis": 0} if many and recipe == "posterior_from_focal" else {}
    result = getattr(port.module, recipe)(
        port.array(first), **dict(zip(names, rest, strict=False)), **axis
    )
    return np.atleast_1d(port.numpy(result)).astype(float)


@both_packages
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_golden_vectors(port: Port, recipe: str, dtype: str) -> None:
    for problem, jets in golden.read(recipe, dtype):
        for point, jet in zip(problem.points.tolist(), jets, strict=True):
            values = dict(zip(problem.names, point, strict=True))
            found = answers(port, recipe, values, dtype)
            for got, term in zip(found.tolist(), jet.values(), strict=True):
                error = error_in_eps(got, term, dtype, FLOOR[dtype][0])
                assert error <= RECIPE, f"{recipe}({values}) in {dtype}: {got} for {term.value}"


@pytest.mark.parametrize(
    ("recipe", "wrong"),
    [
        ("prior_bias", lambda pi: np.log(pi)),
        ("alpha_from_counts", lambda counts, beta: 1 / counts / np.sum(1 / counts)),
        (
            "gamma_flsd",
            lambda p_t, threshold, below, above: np.where(p_t <= threshold, below, above),
        ),
        (
            "posterior_from_focal",
            lambda z, gamma, axis=None: 1 / (1 + np.exp(-z)) if axis is None else z,
        ),
    ],
)
def test_the_golden_vectors_reject_what_is_wrong(
    recipe: str, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        focal_torch, recipe, lambda x, **rest: torch.as_tensor(wrong(np.asarray(x), **rest))
    )
    with pytest.raises(AssertionError, match=recipe):
        test_the_golden_vectors(TORCH, recipe, "float64")


def require(got: Any, truth: np.ndarray, dtype: str, units: Any = ROUNDINGS) -> None:
    found, tiny = np.asarray(got, float), np.finfo(dtype).tiny
    # What is smaller than any normal number may be 0.
    error = np.where(
        np.abs(truth) < tiny,
        np.abs(found) > tiny,
        np.abs(found - truth) / np.abs(truth) / EPS[dtype],
    )
    assert np.max(error / units) <= 1, np.max(error / units)


@both_packages
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bias_of_a_prior(port: Port, dtype: str) -> None:
    priors = np.array([1e-30, 1e-8, 0.01, 0.2, 0.26, 0.4999, 0.5001, 0.7, 0.75, 0.8, 0.999]).astype(
        dtype
    )
    truth = np.array([truth_of("prior_bias", pi=float(x))[0] for x in priors])
    require(port.numpy(port.module.prior_bias(port.array(priors))), truth, dtype)
    if dtype == "float64":
        require([port.module.prior_bias(float(x)) for x in priors], truth, dtype)
    assert port.module.prior_bias(0.5) == 0


@both_packages
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.999, 1 - 2**-30, 1.0])
def test_weights_of_counts(port: Port, beta: float) -> None:
    counts = np.array([1, 2, 30, 4000, 10**7], np.int32)
    truth = np.array(truth_of("alpha_from_counts", counts=counts.tolist(), beta=beta))
    for dtype in ("float32", "float64"):
        got = port.numpy(port.module.alpha_from_counts(port.array(counts.astype(dtype)), beta=beta))
        # The sum and its quotient are roundings as well.
        require(got, truth, dtype, 2 * ROUNDINGS)
    whole = port.numpy(port.module.alpha_from_counts(port.array(counts), beta=beta))
    require(whole, truth, "float32", 2 * ROUNDINGS)
    assert np.all(np.diff(whole) <= 0)


@both_packages
def test_gamma_of_samples(port: Port) -> None:
    p_t = np.array([0.0, 0.1, np.nextafter(0.2, 0), 0.2, 1.0])
    np.testing.assert_array_equal(
        port.numpy(port.module.gamma_flsd(port.array(p_t))), [5, 5, 5, 3, 3]
    )
    other = port.numpy(port.module.gamma_flsd(port.array(p_t), threshold=0.5, below=2.7, above=0.1))
    np.testing.assert_array_equal(other, [2.7, 2.7, 2.7, 2.7, 0.1])
    ids, logits = port.array(np.array([0, 1])), port.array(LOGITS[:2])
    gamma = port.module.gamma_flsd(port.array(np.array([[0.1], [0.9]])))
    losses = [
        port.module.softmax_focal_loss(logits, ids, axis=-1, gamma=x) for x in (gamma, 5.0, 3.0)
    ]
    mixed, low, high = (port.numpy(x) for x in losses)
    # An exponent in an array takes another way than one that is known.
    np.testing.assert_allclose(mixed, [low[0], high[1]], rtol=ROUNDINGS * EPS["float64"])


@both_packages
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_posteriors(port: Port, gamma: float, dtype: str) -> None:
    """An absolute error of an exponent is a relative one of its exponential; a softmax has the
    largest as well."""
    z = LOGITS.astype(dtype)
    recover, given = port.module.posterior_from_focal, port.array(z)
    largest = 2 * np.abs(z).max(-1, keepdims=True)
    many = np.array(
        [truth_of("posterior_from_focal", logits=row, gamma=gamma) for row in z.tolist()]
    )
    require(
        port.numpy(recover(given, gamma, axis=-1)),
        many,
        dtype,
        ROUNDINGS + 2 * EXPONENT * (1 + gamma) * largest,
    )
    one = np.array(
        [truth_of("posterior_from_focal", logits=x, gamma=gamma) for x in z.ravel().tolist()]
    )
    require(
        port.numpy(recover(given, gamma)),
        one.reshape(z.shape),
        dtype,
        ROUNDINGS + EXPONENT * (1 + gamma) * np.abs(z),
    )


@both_packages
@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_loss_is_least_at_the_posterior(port: Port, gamma: float) -> None:
    """What the transformation is for: with its probabilities as targets, the slope is 0 where the
    model is."""
    loss, sigmoid = port.module.softmax_focal_loss, port.module.sigmoid_focal_loss
    z = LOGITS[:24]
    y = port.module.posterior_from_focal(port.array(z), gamma, axis=-1)
    slope = port.gradient(lambda z: loss(z, y, axis=-1, gamma=gamma), z)
    assert np.abs(slope).max() <= 100 * EPS["float64"]
    p = port.module.posterior_from_focal(port.array(z), gamma)
    slope = port.gradient(
        lambda z: sigmoid(z, p, alpha=None, gamma=gamma, soft_targets="mixture"), z
    )
    assert np.abs(slope).max() <= 100 * EPS["float64"]
    if gamma:
        wrong = port.module.posterior_from_focal(port.array(z), 0.0, axis=-1)
        slope = port.gradient(lambda z: loss(z, wrong, axis=-1, gamma=gamma), z)
        assert np.abs(slope).max() > 1e-3, "scores are no probabilities"


@both_packages
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_where_scores_are_flatter_than_probabilities(port: Port, gamma: float) -> None:
    """Of two classes everywhere; of a thousand where one of them is likely, and the other way where
    none is."""
    recover = port.module.posterior_from_focal
    z = spaced(-20, 20, 400)
    assert np.all(
        np.abs(port.numpy(recover(port.array(z), gamma)) - 0.5)
        >= np.abs(1 / (1 + np.exp(-z)) - 0.5)
    )
    for score, flatter in ((0.6, True), (0.1, False)):
        many = np.append(np.log(score / (1 - score) * 999), np.zeros(999))
        assert (float(port.numpy(recover(port.array(many), gamma, axis=-1))[0]) > score) == flatter


@both_packages
def test_posteriors_of_extreme_logits(port: Port) -> None:
    z = port.array(np.array([np.inf, 1e4, 0.0, -1e4, -np.inf]))
    np.testing.assert_array_equal(
        port.numpy(port.module.posterior_from_focal(z, 2.0)), [1, 1, 0.5, 0, 0]
    )
    rows = port.array(np.array([[0.0, 1e4, 0.0], [0.0, 0.0, -np.inf]]))
    found = port.numpy(port.module.posterior_from_focal(rows, 2.0, axis=1))
    np.testing.assert_allclose(found, [[0, 1, 0], [0.5, 0.5, 0]], rtol=1e-15)
    half = port.array(np.zeros((2, 3), np.float16))
    assert port.numpy(port.module.posterior_from_focal(half, axis=0)).dtype == np.float16


def test_what_a_compiler_makes_of_them() -> None:
    z, counts = LOGITS[:5], np.array([1.0, 2.0, 30.0])
    for axis in (None, -1):
        ours = jax.jit(lambda z, axis=axis: focal_jax.posterior_from_focal(z, 1.5, axis=axis))(z)
        theirs = torch.compile(focal_torch.posterior_from_focal, fullgraph=True)(
            torch.tensor(z), 1.5, axis=axis
        )
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12)
    ours = jax.jit(focal_jax.alpha_from_counts)(counts)
    np.testing.assert_allclose(
        ours, focal_torch.alpha_from_counts(torch.tensor(counts)).numpy(), rtol=1e-12
    )


ERRORS: list[tuple[str, Any, dict[str, Any], type[Exception], str]] = [
    (
        "prior_bias",
        1.0,
        {},
        ValueError,
        "pi=...): expected a number in (0, 1), got 1.0. 0 and 1 have no finite bias.",
    ),
    (
        "prior_bias",
        np.array([0.5, 0.0]),
        {},
        ValueError,
        "pi=...): expected values in (0, 1), got 0.0 at (1,).",
    ),
    ("prior_bias", "a", {}, TypeError, "pi=...): expected a number in (0, 1), got str."),
    (
        "alpha_from_counts",
        np.array([3, 0]),
        {},
        ValueError,
        "counts=...): expected values finite and greater than 0",
    ),
    ("alpha_from_counts", np.ones((2, 2)), {}, ValueError, "counts=...): expected shape (C,)"),
    (
        "alpha_from_counts",
        np.array([3, 1]),
        {"beta": 1.5},
        ValueError,
        "beta=...): expected a number in [0, 1], got 1.5",
    ),
    (
        "gamma_flsd",
        np.array([1.5]),
        {},
        ValueError,
        "p_t=...): expected values in [0, 1], got 1.5 at (0,).",
    ),
    (
        "gamma_flsd",
        np.array([0.5]),
        {"below": -1.0},
        ValueError,
        "below=...): expected a number finite and at least 0",
    ),
    (
        "posterior_from_focal",
        np.zeros((2, 3)),
        {"axis": 2},
        ValueError,
        "axis=...): expected an axis of logits",
    ),
    (
        "posterior_from_focal",
        np.zeros(2),
        {"gamma": -1.0},
        ValueError,
        "gamma=...): expected a number finite and at",
    ),
    (
        "posterior_from_focal",
        np.zeros(2, int),
        {},
        TypeError,
        "logits=...): expected floating-point numbers, got int64",
    ),
]


@both_packages
@pytest.mark.parametrize(("name", "first", "rest", "error", "message"), ERRORS)
def test_errors(
    port: Port, name: str, first: Any, rest: Any, error: type[Exception], message: str
) -> None:
    given = port.array(first) if isinstance(first, np.ndarray) else first
    with pytest.raises(error, match=re.escape(f"{name}({message}")):
        getattr(port.module, name)(given, **rest)


def test_numpy_arrays_are_arrays_in_jax() -> None:
    assert JAX.numpy(focal_jax.prior_bias(np.array([0.5]))) == 0  # type: ignore[arg-type]

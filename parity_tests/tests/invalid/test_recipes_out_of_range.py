"""Counts, probabilities and exponents out of range, in what surrounds the losses."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from parity_tests.contract.port import Port
from parity_tests.tests.parametrize import both_packages


@both_packages
@pytest.mark.parametrize("beta", [0.0, 0.9, 1.0])
def test_a_class_without_samples_weighs_nothing(port: Port, beta: float) -> None:
    """In an eager call, and where the counts are those of a batch."""
    counts = np.array([0, 5, 10, 0])
    of_others = known(port, "alpha_from_counts", counts[1:3], beta=beta)
    expected = [0, *of_others, 0]
    assert_array_equal(known(port, "alpha_from_counts", counts, beta=beta), expected)
    of_a_batch = mapped(port, "alpha_from_counts", counts, beta=beta)
    assert_allclose(of_a_batch, expected, rtol=1e-6)
    assert np.isnan(known(port, "alpha_from_counts", counts * 0, beta=beta)).all()


@both_packages
@pytest.mark.parametrize(
    ("recipe", "argument"),
    [
        ("alpha_from_counts", [3.0, -1.0]),
        ("alpha_from_counts", [3.0, np.inf]),
        ("gamma_flsd", [0.5, 1.25]),
        ("gamma_flsd", [-0.25, np.nan]),
        ("prior_bias", [0.5, 1.0]),
        ("prior_bias", [0.0, -1.0]),
    ],
)
def test_a_value_out_of_range_gives_nan_where_it_cannot_be_checked(
    port: Port, recipe: str, argument: list[float]
) -> None:
    assert np.isnan(mapped(port, recipe, np.array(argument))[-1])


@both_packages
@pytest.mark.parametrize("bad", [-0.5, 3.5, np.nan, np.inf])
def test_what_is_in_no_bin_is_nan_where_it_cannot_be_checked(port: Port, bad: float) -> None:
    bins = mapped(port, "two_hot", np.array([1.0, bad]), classes=4)
    assert_array_equal(bins, [[0, 1, 0, 0], [np.nan] * 4])


@both_packages
def test_a_gamma_out_of_range_gives_nan_where_it_cannot_be_checked(port: Port) -> None:
    def posterior(gamma: Any) -> Any:
        return port.module.posterior_from_focal(port.array(np.array([0.0, 90.0])), gamma)

    for bad in (-1.0, np.nan, np.inf):
        assert np.isnan(port.per_sample(posterior, 0, np.array([bad]), None)).all()


def mapped(port: Port, recipe: str, x: np.ndarray, **settings: Any) -> np.ndarray:
    """A recipe inside of vmap, which nobody can look into."""

    def call(row: Any) -> Any:
        return getattr(port.module, recipe)(row, **settings)

    return port.per_sample(call, 0, x[None], None)[0]


def known(port: Port, recipe: str, x: np.ndarray, **settings: Any) -> np.ndarray:
    return port.numpy(getattr(port.module, recipe)(port.array(x), **settings))

"""The objective of boosted trees: both derivatives are those of the focal loss, the Hessian is
negative where the page says so, and clipped it trains."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import focal_jax
import focal_torch
from examples import boosted_trees
from examples.boosted_trees import focal_derivatives, focal_objective
from parity_tests.contract.exact import Draws, spaced
from parity_tests.pages.page_code import blocks
from parity_tests.tests import ROOT

SCORES = spaced(-30, 30, 61)
LABELS = np.arange(61) % 2
# Logarithms and powers of numbers up to 30·(1 + γ) are off by as many units; a Hessian near its
# zero is a difference of terms a hundred times larger.
UNITS = 4096 * float(np.finfo(float).eps)
SETTINGS = [(None, 0.0), (0.25, 0.5), (None, 2.0), (0.9, 5.0)]
each_setting = pytest.mark.parametrize(("alpha", "gamma"), SETTINGS)


def true_loss(z: Any, label: int, alpha: float | None, gamma: float) -> Any:
    p_t = 1 / (1 + mpmath.exp(-z if label else z))
    factor = mpmath.mpf(1)
    if alpha is not None:
        factor = mpmath.mpf(alpha) if label else 1 - mpmath.mpf(alpha)
    return -factor * (1 - p_t) ** gamma * mpmath.log(p_t)


def truth(alpha: float | None, gamma: float) -> np.ndarray:
    """Loss, gradient and Hessian of each row."""
    jets: list[list[float]] = []
    with mpmath.workdps(80):
        for score, label in zip(SCORES.tolist(), LABELS.tolist(), strict=True):
            loss = partial(true_loss, label=label, alpha=alpha, gamma=gamma)
            jets.append([float(mpmath.diff(loss, score, order)) for order in range(3)])
    return np.array(jets).T


@each_setting
def test_derivatives_are_those_of_mpmath(alpha: float | None, gamma: float) -> None:
    found = focal_derivatives(SCORES, LABELS, alpha, gamma)
    for ours, expected in zip(found, truth(alpha, gamma), strict=True):
        assert_allclose(ours, expected, rtol=UNITS)


@each_setting
def test_derivatives_are_those_of_both_packages(alpha: float | None, gamma: float) -> None:
    found = focal_derivatives(SCORES, LABELS, alpha, gamma)
    settings: dict[str, Any] = {"alpha": alpha, "gamma": gamma}

    z = torch.tensor(SCORES, requires_grad=True)
    loss = focal_torch.sigmoid_focal_loss(z, torch.tensor(LABELS), **settings)
    [slope] = torch.autograd.grad(loss.sum(), z, create_graph=True)
    [bend] = torch.autograd.grad(slope.sum(), z)
    for ours, theirs in zip(found, (loss, slope, bend), strict=True):
        assert_allclose(ours, theirs.detach().numpy(), rtol=UNITS)

    def row(z: jax.Array, label: jax.Array) -> jax.Array:
        return focal_jax.sigmoid_focal_loss(z, label, **settings)

    functions = (row, jax.grad(row), jax.grad(jax.grad(row)))
    for ours, function in zip(found, functions, strict=True):
        theirs = jax.vmap(function)(jnp.array(SCORES), jnp.array(LABELS))
        assert_allclose(ours, theirs, rtol=UNITS)


def data(labels: np.ndarray, weight: np.ndarray | None) -> SimpleNamespace:
    """What LightGBM and XGBoost give an objective; without weights XGBoost has an empty array."""
    return SimpleNamespace(get_label=lambda: labels, get_weight=lambda: weight)


def test_the_hessian_is_negative_far_on_the_wrong_side_and_clipped() -> None:
    _, _, hessian = focal_derivatives(np.array([-30.0, -2.9, -2.7, 0.0, 30.0]), np.ones(5))
    assert_array_equal(hessian < 0, [True, True, False, False, False])
    _, _, hessian = focal_derivatives(SCORES, LABELS, gamma=0.0)
    assert np.all(hessian > 0), "that of the cross entropy is positive"

    _, gradient, hessian = focal_derivatives(SCORES, LABELS)
    assert hessian.min() < -0.04
    slope, bend = focal_objective(floor=0.01)(SCORES, data(LABELS, None))
    assert_array_equal(slope, gradient)
    assert_array_equal(bend, np.where(hessian > 0.01, hessian, 0.01))


def test_weights_are_factors_of_both() -> None:
    objective = focal_objective(alpha=0.25, gamma=1.0)
    weight = 1.0 + np.arange(61)
    without = objective(SCORES, data(LABELS, None))
    assert_array_equal(objective(SCORES, data(LABELS, np.array([]))), without)
    assert_array_equal(objective(SCORES, data(LABELS, weight)), weight * np.array(without))


def test_extreme_scores_have_finite_derivatives() -> None:
    scores = np.array([-1e4, -800.0, 800.0, 1e4])
    for gamma in (0.0, 0.5, 2.0):
        found = focal_derivatives(scores, np.ones(4), gamma=gamma)
        assert np.isfinite(found).all()


def test_the_page_shows_the_file() -> None:
    text = (ROOT / "examples" / "boosted_trees.py").read_text()
    code = text.removeprefix(f'"""{boosted_trees.__doc__}"""\n\n')
    shown = [code for code, _ in blocks(ROOT / "docs" / "recipes.md") if "logaddexp" in code]
    assert shown == [code]


def problem() -> tuple[np.ndarray, np.ndarray]:
    """Features, and a rare class that two of them make."""
    draws = Draws(1809)
    x = draws.bell((1000, 8))
    return x, (x[:, 0] + x[:, 1] > 2).astype(float)


def loss_of(scores: np.ndarray, labels: np.ndarray) -> float:
    loss, _, _ = focal_derivatives(scores, labels)
    return float(loss.mean())


def by_lightgbm(objective: Any, start: float, weight: np.ndarray | None = None) -> np.ndarray:
    import lightgbm

    x, y = problem()
    dataset = lightgbm.Dataset(x, y, weight=weight, init_score=np.full(len(y), start))
    settings = {"objective": objective, "num_threads": 1, "verbosity": -1}
    return start + np.asarray(lightgbm.train(settings, dataset, 20).predict(x))


def by_xgboost(objective: Any, start: float, weight: np.ndarray | None = None) -> np.ndarray:
    import xgboost

    x, y = problem()
    # Histograms would have other bins with weights.
    settings = {"base_score": start, "min_child_weight": 0, "nthread": 1, "tree_method": "exact"}
    dataset = xgboost.DMatrix(x, y, weight=weight)
    booster = xgboost.train(settings, dataset, 20, obj=objective)
    return booster.predict(xgboost.DMatrix(x), output_margin=True).astype(float)


def unclipped(scores: np.ndarray, dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    _, gradient, hessian = focal_derivatives(scores, dataset.get_label())
    return gradient, hessian


each_library = pytest.mark.parametrize("train", [by_lightgbm, by_xgboost])


@pytest.mark.slow
@each_library
def test_the_clip_is_what_makes_it_learn(train: Any) -> None:
    """All rows of the rare class are far on the wrong side when the first tree is made."""
    _, y = problem()
    first = loss_of(np.full(len(y), -6.0), y)
    assert loss_of(train(focal_objective(), -6.0), y) < first / 10
    assert loss_of(train(unclipped, -6.0), y) > 0.99 * first


@pytest.mark.slow
@each_library
def test_only_the_objective_knows_weights(train: Any) -> None:
    def blind(scores: np.ndarray, dataset: Any) -> tuple[np.ndarray, np.ndarray]:
        return focal_objective()(scores, data(dataset.get_label(), None))

    _, y = problem()
    weight = np.where(y > 0, 5.0, 1.0)
    assert_array_equal(train(blind, -2.0, weight), train(blind, -2.0))
    off = train(focal_objective(), -2.0, weight) - train(focal_objective(), -2.0)
    assert np.abs(off).max() > 0.01

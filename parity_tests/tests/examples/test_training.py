"""The examples: the same network, weights and batches give the same loss curve in both frameworks,
on real data."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from examples import caravan, plot_focal_loss, plot_training, train_jax, train_linen, train_torch
from parity_tests.tests.parametrize import slow

DATA, WEIGHTS = caravan.dataset(), caravan.initial_weights()
SHORT = replace(caravan.RECIPE, epochs=4)
USUAL = ("cross entropy", "focal, γ = 0.5", "focal, γ = 2, α = 0.25")

each_loss = pytest.mark.parametrize(
    "name", [name if name in USUAL else slow(name) for name in caravan.LOSSES]
)


@pytest.fixture(autouse=True)
def promotion_that_optax_needs() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"):
        yield


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    assert ours.shape == theirs.shape
    return float(np.max(np.abs(ours - theirs) / np.abs(theirs)))


@each_loss
def test_float64_curves_agree_over_the_whole_run(name: str) -> None:
    loss = caravan.LOSSES[name]
    ours, p = train_jax.train(WEIGHTS, DATA, loss, "float64", progress=False)
    theirs, q = train_torch.train(WEIGHTS, DATA, loss, "float64", progress=False)
    assert difference(ours, theirs) <= 1e-9
    assert np.abs(p - q).max() <= 1e-9
    assert theirs[-50:].mean() < theirs[:10].mean(), "it learns"


@each_loss
def test_float32_curves_agree_over_a_hundred_steps(name: str) -> None:
    loss = caravan.LOSSES[name]
    with jax.enable_x64(False):
        ours, _ = train_jax.train(WEIGHTS, DATA, loss, "float32", SHORT, progress=False)
    theirs, _ = train_torch.train(WEIGHTS, DATA, loss, "float32", SHORT, progress=False)
    assert difference(ours[:100], theirs[:100]) <= 1e-4
    assert len(ours) >= 100


def test_linen_is_nnx() -> None:
    loss = caravan.LOSSES["focal, γ = 2"]
    ours, _ = train_linen.train(WEIGHTS, DATA, loss, "float64", SHORT, progress=False)
    theirs, _ = train_jax.train(WEIGHTS, DATA, loss, "float64", SHORT, progress=False)
    assert difference(ours, theirs) <= 1e-12


def test_the_agreement_can_fail() -> None:
    """A different loss, or a learning rate that is off by 10⁻⁶, is noticed."""
    loss = caravan.LOSSES["focal, γ = 2"]
    ours, _ = train_torch.train(WEIGHTS, DATA, loss, "float64", SHORT, progress=False)
    for other, recipe in (
        (loss._replace(gamma=2.001), SHORT),
        (loss, replace(SHORT, learning_rate=SHORT.learning_rate * (1 + 1e-6))),
    ):
        theirs, _ = train_torch.train(WEIGHTS, DATA, other, "float64", recipe, progress=False)
        assert difference(ours, theirs) > 1e-9


def test_the_data_are_caravan() -> None:
    assert len(DATA.train_y) + len(DATA.test_y) == 5822
    assert DATA.train_x.shape[1] == 85
    assert int(DATA.train_y.sum() + DATA.test_y.sum()) == 348


def test_calibration_error_of_known_cases() -> None:
    y = np.array([True, False, True, False])
    assert caravan.calibration_error(y, np.full(4, 0.5)) == 0
    assert caravan.calibration_error(y, np.ones(4)) == pytest.approx(0.5)


def test_figures_are_drawn(tmp_path: Path) -> None:
    curve = {name: 1 - np.arange(40) / 80 for name in caravan.LOSSES}
    for name, figure in (
        ("training", plot_training.figure(curve, curve, "float64")),
        ("focal_loss", plot_focal_loss.figure()),
    ):
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000

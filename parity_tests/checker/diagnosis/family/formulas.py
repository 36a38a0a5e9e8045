"""Varifocal, heatmap and asymmetric losses in float64, by parts that others have in another way."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.problems import ASYMMETRIC, HEATMAP, VARIFOCAL

Settings = Mapping[str, Any]
# How far apart the losses are whose difference is a slope: right to ten digits.
STEP = 1e-5


class Points(NamedTuple):
    """Logits and targets. A modulating factor has logits of its own: they stay where it is held."""

    z: np.ndarray
    y: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(cls, z: np.ndarray, y: np.ndarray) -> "Points":
        return cls(z, y, z)

    def moved(self, step: float, held: bool) -> "Points":
        seen = self.seen if held else self.seen + step
        return Points(self.z + step, self.y, seen)


Formula = Callable[[Points, Settings], np.ndarray]


def slope(formula: Formula, x: Points, settings: Settings, held: bool) -> np.ndarray:
    up = formula(x.moved(STEP, held), settings)
    down = formula(x.moved(-STEP, held), settings)
    return (up - down) / (2 * STEP)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -z))


def cost(z: np.ndarray) -> np.ndarray:
    """−log σ(z)."""
    return np.logaddexp(0, -z)


def cross_entropy(x: Points) -> np.ndarray:
    return x.y * cost(x.z) + (1 - x.y) * cost(-x.z)


def focal(x: Points, gamma: float, side: int) -> np.ndarray:
    """The focal loss of class 1, or with a side of −1 that of class 0."""
    return sigmoid(-side * x.seen) ** gamma * cost(side * x.z)


def weights(settings: Settings) -> tuple[float, float]:
    """α and 1 − α, or 1 of both."""
    alpha = settings["alpha"]
    return (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)


def varifocal(x: Points, settings: Settings) -> np.ndarray:
    return weighted_varifocal(x, settings, 1.0, weights(settings)[0])


def weighted_varifocal(
    x: Points, settings: Settings, positives: float, negatives: float
) -> np.ndarray:
    own = x.y if settings["iou_weighted"] else 1.0
    positive = positives * own * cross_entropy(x)
    return np.where(x.y > 0, positive, negatives * focal(x, settings["gamma"], -1))


def heatmap(x: Points, settings: Settings) -> np.ndarray:
    return weighted_heatmap(x, settings, *weights(settings))


def weighted_heatmap(
    x: Points, settings: Settings, positives: float, negatives: float
) -> np.ndarray:
    rest = negatives * below_peak(x, settings)
    return np.where(x.y >= settings["peak"], positives * focal(x, settings["gamma"], 1), rest)


def below_peak(x: Points, settings: Settings) -> np.ndarray:
    """(1 − y)^β·p^γ·(−log q); for y = 1 it is 0, and not with β = 0."""
    return (1 - x.y) ** settings["beta"] * focal(x, settings["gamma"], -1)


def asymmetric(x: Points, settings: Settings) -> np.ndarray:
    return weighted_asymmetric(x, settings, *weights(settings))


def weighted_asymmetric(
    x: Points, settings: Settings, positives: float, negatives: float
) -> np.ndarray:
    positive = focal(x, settings["gamma_positive"], 1)
    negative = shifted(x, settings["gamma_negative"], settings["shift"], -1)
    return x.y * positives * positive + (1 - x.y) * negatives * negative


def shifted(x: Points, gamma: float, shift: float, side: int, of_cost: bool = True) -> np.ndarray:
    """The focal loss of a class with the other's probability less the shift, in both of its
    factors or in the modulating one alone."""
    if not shift:
        return focal(x, gamma, side)
    factor = np.maximum(sigmoid(-side * x.seen) - shift, 0) ** gamma
    if not of_cost:
        return factor * cost(side * x.z)
    # Where the shift is not reached, a cost of 0 also keeps 0⁰ out.
    return factor * -np.log(np.minimum(sigmoid(side * x.z) + shift, 1))


LOSSES: dict[str, Formula] = {VARIFOCAL: varifocal, HEATMAP: heatmap, ASYMMETRIC: asymmetric}

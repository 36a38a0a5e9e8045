"""What is measured of class probabilities, and the temperature that they may have been divided
by."""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, average_precision_score, log_loss

from ..training.caravan import calibration_error

BINS = 15


class Scores(NamedTuple):
    """`right` is the accuracy or, for two classes, the average precision of class 1; NLL is in
    nats."""

    right: float
    nll: float
    ece: float


def events(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What happened (0 or 1), and how probable it was said to be.

    Of two classes the event is class 1. Of more it is that the most probable class is the right
    one.
    """
    if probabilities.shape[-1] == 2:
        return labels, probabilities[..., 1]
    return (probabilities.argmax(-1) == labels).astype(int), probabilities.max(-1)


def scores(labels: np.ndarray, probabilities: np.ndarray) -> Scores:
    classes = probabilities.shape[-1]
    if classes == 2:
        right = average_precision_score(labels, probabilities[:, 1])
    else:
        right = accuracy_score(labels, probabilities.argmax(-1))
    nll = log_loss(labels, probabilities, labels=np.arange(classes))
    happened, expected = events(labels, probabilities)
    ece = calibration_error(happened, expected, BINS)
    return Scores(float(right), float(nll), ece)


def temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """The T > 0 at which softmax(logits / T) has the least NLL. The NLL has no other minimum: it is
    convex in 1 / T."""

    samples = np.arange(len(labels))

    def nll(log_t: float) -> float:
        log_p = log_softmax(logits / np.exp(log_t), -1)
        return -float(np.mean(log_p[samples, labels]))

    least: Any = minimize_scalar(nll, bounds=(-5, 5), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(least.x))


class Reliability(NamedTuple):
    """For each bin that has events: the mean of their probabilities, how often they happened, and
    their number."""

    expected: np.ndarray
    happened: np.ndarray
    number: np.ndarray


def reliability(happened: np.ndarray, expected: np.ndarray) -> Reliability:
    """The bins of the calibration error."""
    index = np.minimum((expected * BINS).astype(int), BINS - 1)
    number = np.bincount(index, minlength=BINS)
    kept = number > 0

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(index, values, BINS)[kept] / number[kept]

    return Reliability(mean(expected), mean(happened), number[kept])

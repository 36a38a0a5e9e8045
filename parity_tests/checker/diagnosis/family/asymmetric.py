"""What others make of the asymmetric loss."""

import numpy as np

from parity_tests.checker.diagnosis import messages

from . import formulas
from .formulas import Points, Settings, focal, shifted, sigmoid, weights
from .readings import Reading, changed, of_all


def _alpha_reversed(x: Points, settings: Settings) -> np.ndarray:
    positive, negative = weights(settings)
    return formulas.weighted_asymmetric(x, settings, negative, positive)


def _alpha_of_all(x: Points, settings: Settings) -> np.ndarray:
    alpha, _ = weights(settings)
    return formulas.weighted_asymmetric(x, settings, alpha, alpha)


def _mixed(x: Points, settings: Settings, positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    own, other = weights(settings)
    return x.y * own * positive + (1 - x.y) * other * negative


def _shift_of_positives(x: Points, settings: Settings) -> np.ndarray:
    positive = shifted(x, settings["gamma_positive"], settings["shift"], 1)
    return _mixed(x, settings, positive, focal(x, settings["gamma_negative"], -1))


def _shift_of_both(x: Points, settings: Settings) -> np.ndarray:
    positive = shifted(x, settings["gamma_positive"], settings["shift"], 1)
    negative = shifted(x, settings["gamma_negative"], settings["shift"], -1)
    return _mixed(x, settings, positive, negative)


def _shift_of_modulator(x: Points, settings: Settings) -> np.ndarray:
    positive = focal(x, settings["gamma_positive"], 1)
    negative = shifted(x, settings["gamma_negative"], settings["shift"], -1, of_cost=False)
    return _mixed(x, settings, positive, negative)


def _shift_of_cost(x: Points, settings: Settings) -> np.ndarray:
    positive = focal(x, settings["gamma_positive"], 1)
    cost = shifted(x, 0.0, settings["shift"], -1)
    negative = sigmoid(x.seen) ** settings["gamma_negative"] * cost
    return _mixed(x, settings, positive, negative)


def _interpolated(x: Points, settings: Settings) -> np.ndarray:
    """One modulating factor, of an exponent and a probability between those of the classes."""
    shift = settings["shift"]
    rest = np.minimum(sigmoid(-x.seen) + shift, 1)
    p_t = x.y * sigmoid(x.seen) + (1 - x.y) * rest
    power = x.y * settings["gamma_positive"] + (1 - x.y) * settings["gamma_negative"]
    costs = _mixed(x, settings, focal(x, 0.0, 1), shifted(x, 0.0, shift, -1))
    return (1 - p_t) ** power * costs


ASYMMETRICS = [
    Reading(
        "powers_exchanged",
        "your gamma_positive and gamma_negative are exchanged",
        changed(
            formulas.asymmetric,
            lambda s: {
                "gamma_positive": s["gamma_negative"],
                "gamma_negative": s["gamma_positive"],
            },
        ),
    ),
    Reading(
        "shift_ignored",
        "your shift has no effect: the probability of a negative is not shifted",
        changed(formulas.asymmetric, lambda _: {"shift": 0.0}),
    ),
    Reading(
        "shift_on_positives",
        "your shift is on the loss of positives; here it is on that of negatives alone",
        _shift_of_positives,
    ),
    Reading(
        "shift_on_both",
        "your shift is on the loss of positives, too; here it is on that of negatives alone",
        _shift_of_both,
    ),
    Reading(
        "shift_in_modulator",
        "your shift is in the modulating factor alone; −log(1 − x) needs it as well",
        _shift_of_modulator,
    ),
    Reading(
        "shift_in_logarithm",
        "your shift is in the logarithm alone; the modulating factor needs it as well",
        _shift_of_cost,
    ),
    Reading(
        "interpolated",
        "soft targets interpolate p_t and the exponent of one modulating factor (the authors, "
        "timm); here each class has its own loss",
        _interpolated,
    ),
    Reading("alpha_reversed", messages.ALPHA["negative"], _alpha_reversed),
    Reading("alpha_on_all", messages.ALPHA["both"], _alpha_of_all),
    *of_all(formulas.asymmetric, "gamma_positive", "gamma_negative"),
]

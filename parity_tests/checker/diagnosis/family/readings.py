"""What others make of varifocal, heatmap and asymmetric losses: each mistake as a formula, and what
is said of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from parity_tests.checker.diagnosis import messages

from . import formulas
from .formulas import Formula, Points, Settings, focal, sigmoid, weights


class Reading(NamedTuple):
    name: str
    message: str
    formula: Formula


def changed(formula: Formula, change: Callable[[Settings], dict[str, Any]]) -> Formula:
    """The formula with other settings than those that were passed."""
    return lambda x, settings: formula(x, {**settings, **change(settings)})


def _swapped(formula: Formula) -> Formula:
    return lambda x, settings: formula(x._replace(y=1 - x.y), settings)


def _negated(formula: Formula) -> Formula:
    return lambda x, settings: -formula(x, settings)


def of_all(formula: Formula, *powers: str) -> list[Reading]:
    """The mistakes that are made of every loss."""

    def with_powers(change: Callable[[float], float]) -> Formula:
        return changed(formula, lambda s: {name: change(s[name]) for name in powers})

    return [
        Reading(
            "gamma_ignored",
            "your gamma has no effect: the loss lacks its modulating factor",
            with_powers(lambda _: 0.0),
        ),
        Reading("gamma_plus_one", messages.FORM["gamma_plus_one"], with_powers(lambda g: g + 1)),
        Reading(
            "gamma_fixed",
            "your gamma has no effect: the loss has γ = 2 whatever is passed",
            with_powers(lambda _: 2.0),
        ),
        Reading(
            "alpha_ignored", messages.ALPHA["ignored"], changed(formula, lambda _: {"alpha": None})
        ),
        Reading("swapped_targets", messages.FORM["swapped_targets"], _swapped(formula)),
        Reading("negated", messages.FORM["negated"], _negated(formula)),
    ]


def _alpha_of_positives(x: Points, settings: Settings) -> np.ndarray:
    return formulas.weighted_varifocal(x, settings, weights(settings)[0], 1.0)


def _alpha_of_two(x: Points, settings: Settings) -> np.ndarray:
    return formulas.weighted_varifocal(x, settings, *weights(settings))


def _alpha_of_all(x: Points, settings: Settings) -> np.ndarray:
    alpha, _ = weights(settings)
    return formulas.weighted_varifocal(x, settings, alpha, alpha)


def _hard_positives(x: Points, settings: Settings) -> np.ndarray:
    """A positive as if its target were 1, beside its weight."""
    weight = x.y if settings["iou_weighted"] else 1.0
    return np.where(x.y > 0, weight * formulas.cost(x.z), formulas.varifocal(x, settings))


def _modulated_positives(x: Points, settings: Settings) -> np.ndarray:
    factor = np.abs(x.y - sigmoid(x.seen)) ** settings["gamma"]
    return np.where(x.y > 0, factor, 1.0) * formulas.varifocal(x, settings)


VARIFOCALS = [
    Reading(
        "alpha_on_positives",
        "your alpha weights the positives; here it weights the negatives alone",
        _alpha_of_positives,
    ),
    Reading(
        "alpha_of_focal_loss",
        "your alpha weights the positives by α and the negatives by 1 − α; here it weights the "
        "negatives alone",
        _alpha_of_two,
    ),
    Reading("alpha_on_all", messages.ALPHA["both"], _alpha_of_all),
    Reading(
        "weight_of_positives",
        "your positives have the other weight: 1 in place of their target, or the reverse",
        changed(formulas.varifocal, lambda s: {"iou_weighted": not s["iou_weighted"]}),
    ),
    Reading(
        "hard_positives",
        "the target of a positive is its weight alone: its cross entropy has a target of 1",
        _hard_positives,
    ),
    Reading(
        "modulated_positives",
        "your positives have the factor |y − p|^γ of the quality focal loss; here they have none",
        _modulated_positives,
    ),
    *of_all(formulas.varifocal, "gamma"),
]


def _peaks_twice(x: Points, settings: Settings) -> np.ndarray:
    """Without a mask, as 0⁰ is 1."""
    positive, negative = weights(settings)
    peaks = np.where(x.y >= settings["peak"], positive * focal(x, settings["gamma"], 1), 0.0)
    return peaks + negative * formulas.below_peak(x, settings)


def _alpha_of_rest(x: Points, settings: Settings) -> np.ndarray:
    positive, negative = weights(settings)
    return formulas.weighted_heatmap(x, settings, negative, positive)


def _alpha_of_every_pixel(x: Points, settings: Settings) -> np.ndarray:
    alpha, _ = weights(settings)
    return formulas.weighted_heatmap(x, settings, alpha, alpha)


def _as_falloff(settings: Settings) -> dict[str, Any]:
    return {"gamma": 2.0, "beta": settings["gamma"]}


FALLOFF_AS_FOCUSING = (
    "your gamma is the exponent of the fall-off (1 − y), as mmdet names it, and the modulating "
    "factor has the exponent 2; here gamma focuses and beta falls off"
)
HEATMAPS = [
    Reading("falloff_as_focusing", FALLOFF_AS_FOCUSING, changed(formulas.heatmap, _as_falloff)),
    # For γ = 0 its peaks count twice.
    Reading("falloff_as_focusing", FALLOFF_AS_FOCUSING, changed(_peaks_twice, _as_falloff)),
    Reading(
        "powers_exchanged",
        "your gamma and beta are exchanged: gamma is the exponent of the fall-off (1 − y)",
        changed(formulas.heatmap, lambda s: {"gamma": s["beta"], "beta": s["gamma"]}),
    ),
    Reading(
        "peaks_twice",
        "for β = 0 your peaks have the loss of the other pixels as well: (1 − y)^β is 0⁰ = 1 there",
        _peaks_twice,
    ),
    Reading(
        "falloff_ignored",
        "your loss lacks the fall-off (1 − y)^β",
        changed(formulas.heatmap, lambda _: {"beta": 0.0}),
    ),
    Reading(
        "falloff_fixed",
        "your beta has no effect: the fall-off has β = 4 whatever is passed",
        changed(formulas.heatmap, lambda _: {"beta": 4.0}),
    ),
    Reading(
        "peak_ignored",
        "your peaks are the targets of 1, whatever peak is",
        changed(formulas.heatmap, lambda _: {"peak": 1.0}),
    ),
    Reading(
        "alpha_reversed",
        "your alpha weights the pixels that are no peak; here the peaks get α, the rest 1 − α",
        _alpha_of_rest,
    ),
    Reading("alpha_on_all", messages.ALPHA["both"], _alpha_of_every_pixel),
    *of_all(formulas.heatmap, "gamma"),
]

"""The losses of a call with options that do more than multiply them: smoothed labels, and several
γ."""

from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.ports.subject import Plan
from parity_tests.truth import oracle
from parity_tests.truth.jets import Jet, total

from . import truth
from .batch import SMOOTHING, Call, Options


def smooth_jets(call: Call, alpha: Any = None, smoothing: float = SMOOTHING) -> list[Jet]:
    """The jets of the same softmax with smoothed labels."""
    gamma = [call.gamma] * call.problem.points.shape[1]
    return _smooth_jets(call, alpha, smoothing, gamma)


def _smooth_jets(call: Call, alpha: Any, smoothing: float, gamma: list[float]) -> list[Jet]:
    """With one γ per class."""
    problem = call.clean or call.problem
    ids = problem.ids
    assert ids is not None
    variables = frozenset(problem.names)
    if alpha is None:
        alpha = problem.constants.get("alpha")
    else:
        alpha = [float(weight) for weight in alpha]
    jets: list[Jet] = []
    for row, target in zip(problem.points.tolist(), ids.tolist(), strict=True):
        smooth = [mpf(smoothing) / len(row)] * len(row)
        smooth[target] += mpf(1 - smoothing)
        with mpmath.workdps(truth.DIGITS):
            jets.append(_mixed(row, smooth, alpha, gamma, variables))
    return jets


def _mixed(
    row: list[float], targets: list[Any], alpha: Any, gamma: list[float], variables: frozenset[str]
) -> Jet:
    """The loss of class probabilities is a sum over groups of classes with the same γ."""
    parts: list[Jet] = []
    for common in dict.fromkeys(gamma):
        classes = zip(targets, gamma, strict=True)
        shares = [y if own == common else mpf(0) for y, own in classes]
        parts.append(oracle.softmax_focal_loss(row, shares, alpha, common, variables=variables))
    return total(parts)


def jets_with(plan: Plan, call: Call, options: Options) -> list[Jet]:
    """The jets of the elements, with smoothed labels and several γ if they are asked for."""
    gamma = options.get("gamma")
    if "label_smoothing" in options:
        alpha, smoothing = options.get("alpha"), float(options["label_smoothing"])
        of_classes = np.resize(call.gamma if gamma is None else gamma, call.problem.points.shape[1])
        return _smooth_jets(call, alpha, smoothing, of_classes.tolist())
    if gamma is None:
        return call.jets
    of_elements = gamma_of_elements(gamma, call.targets)
    by_gamma: dict[float, list[Jet]] = {}
    for own in set(of_elements):
        alike = replace(call.problem, constants=call.problem.constants | {"gamma": own})
        by_gamma[own] = truth.jets(alike, plan)
    return [by_gamma[own][row] for row, own in enumerate(of_elements)]


def gamma_of_elements(gamma: np.ndarray, targets: np.ndarray) -> list[float]:
    """From one γ per element, or one per class, whose targets are ids."""
    own = gamma.ravel() if gamma.size == len(targets) else np.take(gamma, targets)
    return own.astype(float).tolist()

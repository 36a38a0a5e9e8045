"""What a port is asked: the samples of each layer, the smallest set in which no published fault can
hide."""

import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from parity_tests.contract import grid
from parity_tests.contract.exact import Draws, sigmoids
from parity_tests.contract.problems import Problem

from . import family_questions
from .subject import Plan

# Numbers of every dtype, so that a γ or α given as a number is the same number for everybody.
GAMMAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.75, 3.0, 4.0, 5.0, 10.0)
ALPHAS = (0.25, None, 0.75, 1.0, 0.0)
SOFT_TARGETS = (0.0, 1.0, 0.0625, 0.3, 0.5, 0.9)
SOFT_LOGITS = (-30.0, -4.0, -1.5, -0.3, 0.0, 0.7, 2.0, 8.0, 40.0)

# α of a softmax, one number per class.
Weights = tuple[float, ...] | None


def _choices(plan: Plan, name: str, usual: tuple[Any, ...]) -> tuple[Any, ...]:
    return (plan.fixed[name],) if name in plan.fixed else usual


def gammas(plan: Plan) -> tuple[float, ...]:
    chosen = _choices(plan, "gamma", GAMMAS)
    if plan.convention("form") == "FL*":
        # Its loss is divided by γ.
        return tuple(gamma for gamma in chosen if gamma)
    return chosen


def first(plan: Plan) -> Problem:
    """A few ordinary samples with the usual settings."""
    if plan.record.name in family_questions.SETTINGS:
        return family_questions.first(plan)
    gamma = 2.0 if 2.0 in gammas(plan) else gammas(plan)[-1]
    if plan.record.classes:
        problem = softmax_ids(plan.dtype, 3, gamma, _weights(plan, 3))
        ordinary = slice(24, 30)
    else:
        (alpha,) = _choices(plan, "alpha", (0.25,))
        problem = sigmoid_hard(plan.dtype, gamma, alpha, plan.probabilities)
        ordinary = slice(30, 36)
    ids = None if problem.ids is None else problem.ids[ordinary]
    return replace(problem, points=problem.points[ordinary], ids=ids)


def hard(plan: Plan) -> list[Problem]:
    """Hard targets at every γ: the layer that everybody has to pass."""
    if plan.record.name in family_questions.SETTINGS:
        # There soft targets are what the loss is for.
        return family_questions.problems(plan)
    problems = []
    if plan.record.classes:
        for gamma, classes in zip(gammas(plan), itertools.cycle((3, 2)), strict=False):
            weights = _weights(plan, classes)
            problems.append(softmax_ids(plan.dtype, classes, gamma, weights))
        return problems
    usual = tuple(alpha for alpha in ALPHAS if alpha is not None or plan.without_alpha)
    alphas = itertools.cycle(_choices(plan, "alpha", usual))
    for gamma, alpha in zip(gammas(plan), alphas, strict=False):
        problems.append(sigmoid_hard(plan.dtype, gamma, alpha, plan.probabilities))
    return problems


def soft(plan: Plan) -> list[Problem]:
    """Targets between 0 and 1, or class probabilities."""
    few = [gamma for gamma in (0.5, 2.0, 5.0) if gamma in gammas(plan)]
    chosen = few or gammas(plan)[:1]
    if plan.record.classes:
        weights = _weights(plan, 3)
        return [softmax_soft(plan.dtype, 3, gamma, weights) for gamma in chosen]
    if plan.convention("soft_targets") == "hard" or plan.convention("form") == "FL*":
        return []
    (alpha,) = _choices(plan, "alpha", (0.25,))
    return [sigmoid_soft(plan.dtype, gamma, alpha, plan.probabilities) for gamma in chosen]


def _weights(plan: Plan, classes: int) -> Weights:
    weights = plan.fixed.get("alpha")
    return None if weights is None else tuple(weights)[:classes]


def _logits(dtype: str, probabilities: bool, count: int = 60) -> np.ndarray:
    scales = np.repeat((1, 5, 20), count // 3)
    random = Draws(0).bell(count) * scales
    logits = np.concatenate([grid.LOGITS, random])
    if not probabilities:
        return logits
    # Probabilities to both ends, as near as the dtype has them.
    logits = logits[np.abs(logits) < 80]
    p = grid.rounded(sigmoids(logits), dtype)
    return np.unique(p[(p > 0) & (p < 1)])


@cache
def sigmoid_hard(
    dtype: str, gamma: float, alpha: float | None, probabilities: bool = False
) -> Problem:
    each = _logits(dtype, probabilities)
    logits = np.repeat(each, 2)
    ids = np.tile((0, 1), len(each))
    return Problem.sigmoid(dtype, {"logits": logits}, ids, gamma=gamma, alpha=alpha)


@cache
def sigmoid_soft(
    dtype: str, gamma: float, alpha: float | None, probabilities: bool = False
) -> Problem:
    each = np.array(SOFT_LOGITS)
    if probabilities:
        # In half precision some are rounded to 1.
        p = grid.rounded(sigmoids(each), dtype)
        each = p[(p > 0) & (p < 1)]
    logits = np.repeat(each, len(SOFT_TARGETS))
    targets = np.tile(SOFT_TARGETS, len(each))
    arguments = {"logits": logits, "targets": targets}
    return Problem.sigmoid(dtype, arguments, gamma=gamma, alpha=alpha)


@cache
def softmax_ids(dtype: str, classes: int, gamma: float, alpha: Weights = None) -> Problem:
    rows = grid.softmax_logits(dtype, classes)
    logits = np.repeat(rows, classes, axis=0)
    ids = np.tile(np.arange(classes), len(rows))
    return Problem.softmax(dtype, {"logits": logits}, ids, **_constants(gamma, alpha))


@cache
def softmax_soft(dtype: str, classes: int, gamma: float, alpha: Weights = None) -> Problem:
    logits = grid.softmax_logits(dtype, classes)
    targets = Draws(classes).simplex(len(logits), classes)
    arguments = {"logits": logits, "targets": targets}
    return Problem.softmax(dtype, arguments, **_constants(gamma, alpha))


def _constants(gamma: float, alpha: Weights) -> dict[str, Any]:
    return {"gamma": gamma, "alpha": list(alpha)} if alpha else {"gamma": gamma}

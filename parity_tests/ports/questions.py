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

from .subject import Plan

# Numbers of every dtype, so that a γ or α given as a number is the same number for everybody.
GAMMAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.75, 5.0)
ALPHAS = (0.25, None, 0.75, 1.0, 0.0)
SOFT_TARGETS = (0.0, 1.0, 0.0625, 0.3, 0.5, 0.9)
SOFT_LOGITS = (-30.0, -4.0, -1.5, -0.3, 0.0, 0.7, 2.0, 8.0, 40.0)


def _choices(plan: Plan, name: str, usual: tuple[Any, ...]) -> tuple[Any, ...]:
    return (plan.fixed[name],) if name in plan.fixed else usual


def gammas(plan: Plan) -> tuple[float, ...]:
    chosen = _choices(plan, "gamma", GAMMAS)
    return tuple(g for g in chosen if g or plan.convention("form") != "FL*")


def first(plan: Plan) -> Problem:
    """A few ordinary samples with the usual settings."""
    gamma = 2.0 if 2.0 in gammas(plan) else gammas(plan)[-1]
    if plan.record.classes:
        problem = softmax_ids(plan.dtype, 3, gamma, _weights(plan, 3))
        chosen = slice(24, 30)
    else:
        alpha = _choices(plan, "alpha", (0.25,))[0]
        problem = sigmoid_hard(plan.dtype, gamma, alpha, plan.probabilities)
        chosen = slice(30, 36)
    ids = None if problem.ids is None else problem.ids[chosen]
    return replace(problem, points=problem.points[chosen], ids=ids)


def hard(plan: Plan) -> list[Problem]:
    """Hard targets at every γ: the layer that everybody has to pass."""
    if plan.record.classes:
        pairs = zip(gammas(plan), itertools.cycle((3, 2)), strict=False)
        return [
            softmax_ids(plan.dtype, classes, gamma, _weights(plan, classes))
            for gamma, classes in pairs
        ]
    alphas = _choices(
        plan, "alpha", tuple(a for a in ALPHAS if a is not None or plan.without_alpha)
    )
    return [
        sigmoid_hard(plan.dtype, gamma, alpha, plan.probabilities)
        for gamma, alpha in zip(gammas(plan), itertools.cycle(alphas), strict=False)
    ]


def soft(plan: Plan) -> list[Problem]:
    """Targets between 0 and 1, or class probabilities."""
    chosen = [g for g in (0.5, 2.0, 5.0) if g in gammas(plan)] or list(gammas(plan))[:1]
    if plan.record.classes:
        return [softmax_soft(plan.dtype, 3, gamma, _weights(plan, 3)) for gamma in chosen]
    if plan.convention("soft_targets") == "hard" or plan.convention("form") == "FL*":
        return []
    alpha = _choices(plan, "alpha", (0.25,))[0]
    return [sigmoid_soft(plan.dtype, gamma, alpha, plan.probabilities) for gamma in chosen]


def _weights(plan: Plan, classes: int) -> tuple[float, ...] | None:
    fixed = plan.fixed.get("alpha", "usual")
    if fixed == "usual":
        return None
    return None if fixed is None else tuple(fixed)[:classes]


def _logits(dtype: str, probabilities: bool, count: int = 60) -> np.ndarray:
    random = Draws(0).bell(count) * np.repeat((1, 5, 20), count // 3)
    logits = np.array((*grid.LOGITS, *random.tolist()))
    if probabilities:
        # Probabilities to both ends, as near as the dtype has them.
        logits = logits[np.abs(logits) < 80]
        logits = grid.rounded(sigmoids(logits), dtype)
        return np.unique(logits[(logits > 0) & (logits < 1)])
    return logits


@cache
def sigmoid_hard(
    dtype: str, gamma: float, alpha: float | None, probabilities: bool = False
) -> Problem:
    rows = list(itertools.product(_logits(dtype, probabilities).tolist(), (0, 1)))
    points = grid.rounded(np.array([[z] for z, _ in rows]), dtype)
    ids = np.array([y for _, y in rows])
    return Problem(
        "sigmoid_focal_loss", dtype, ("logits",), points, ids, {"gamma": gamma, "alpha": alpha}
    )


@cache
def sigmoid_soft(
    dtype: str, gamma: float, alpha: float | None, probabilities: bool = False
) -> Problem:
    logits = np.array(SOFT_LOGITS)
    if probabilities:
        logits = sigmoids(logits[np.abs(logits) < 10])
    points = grid.rounded(np.array(list(itertools.product(logits.tolist(), SOFT_TARGETS))), dtype)
    constants = {"gamma": gamma, "alpha": alpha}
    return Problem("sigmoid_focal_loss", dtype, ("logits", "targets"), points, constants=constants)


@cache
def softmax_ids(
    dtype: str, classes: int, gamma: float, alpha: tuple[float, ...] | None = None
) -> Problem:
    rows = grid.softmax_logits(dtype, classes)
    points, ids = np.repeat(rows, classes, axis=0), np.tile(np.arange(classes), len(rows))
    names = tuple(f"logits{c}" for c in range(classes))
    constants: dict[str, Any] = {"gamma": gamma} | ({"alpha": list(alpha)} if alpha else {})
    return Problem("softmax_focal_loss", dtype, names, points, ids, constants)


@cache
def softmax_soft(
    dtype: str, classes: int, gamma: float, alpha: tuple[float, ...] | None = None
) -> Problem:
    rows = grid.softmax_logits(dtype, classes)
    points = grid.rounded(
        np.concatenate([rows, Draws(classes).simplex(len(rows), classes)], axis=1), dtype
    )
    names = tuple(f"{stem}{c}" for stem in ("logits", "targets") for c in range(classes))
    constants: dict[str, Any] = {"gamma": gamma} | ({"alpha": list(alpha)} if alpha else {})
    return Problem("softmax_focal_loss", dtype, names, points, constants=constants)

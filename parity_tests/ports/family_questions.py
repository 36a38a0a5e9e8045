"""What a port of a varifocal, heatmap or asymmetric loss is asked: few samples, with every setting
that the plan leaves free."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from parity_tests.contract.exact import Draws
from parity_tests.contract.family_grid import around
from parity_tests.contract.grid import LOGITS
from parity_tests.contract.problems import ASYMMETRIC, HEATMAP, VARIFOCAL, Problem

from .subject import Plan

# Numbers of every dtype, but for the usual shift.
POWERS = (2.0, 0.5, 1.0, 1.5, 0.0, 2.75, 3.0, 4.0, 5.0, 10.0)
SOFT = (0.5, 0.0625, 0.3, 0.9)
COUNT = len(POWERS)
# With each other, as the problems take them in turn.
HELD = (False, False, True, True)
SETTINGS: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    VARIFOCAL: {
        "alpha": (0.75, None, 0.25, 1.0, 0.0),
        "gamma": POWERS,
        "iou_weighted": (True, False),
        "constant_modulator": HELD,
    },
    HEATMAP: {
        "alpha": (None, 0.25, 0.75, 1.0, 0.0),
        "gamma": POWERS,
        "beta": (4.0, 1.0, 0.0, 0.5),
        "peak": (1.0, 1.0, 0.5),
    },
    ASYMMETRIC: {
        "alpha": (None, 0.25, 0.75, 1.0, 0.0),
        "gamma_positive": (1.0, 0.0, 0.5, 5.0, 2.0),
        "gamma_negative": (4.0, *POWERS[:-1]),
        "shift": (0.05, 0.0, 0.25),
        "constant_modulator": HELD,
    },
}


def settings(plan: Plan, turn: int = 0) -> dict[str, Any]:
    """Those of one problem; the first are the usual ones."""
    chosen: dict[str, Any] = {}
    for name, usual in SETTINGS[plan.record.name].items():
        values = usual
        if name == "alpha" and not plan.without_alpha:
            values = tuple(value for value in usual if value is not None)
        if name in plan.fixed:
            values = (plan.fixed[name],)
        chosen[name] = values[turn % len(values)]
    return chosen


def problem(
    plan: Plan, logits: np.ndarray, targets: np.ndarray, constants: dict[str, Any]
) -> Problem:
    columns = tuple(logits.tolist()), tuple(targets.tolist())
    return _made(plan.record.name, plan.dtype, *columns, tuple(constants.items()))


# The same question is the same problem, whose truth is found once.
@cache
def _made(
    function: str,
    dtype: str,
    logits: tuple[float, ...],
    targets: tuple[float, ...],
    constants: tuple[tuple[str, Any], ...],
) -> Problem:
    arguments = {"logits": np.array(logits), "targets": np.array(targets)}
    return Problem.of(function, dtype, arguments, constants=dict(constants))


def problems(plan: Plan) -> list[Problem]:
    """Each logit with both hard targets and one soft one."""
    asked: list[Problem] = []
    for turn in range(COUNT):
        constants = settings(plan, turn)
        each = [*LOGITS, *(Draws(0).bell(20) * 4).tolist()]
        if constants.get("shift"):
            each += around(constants["shift"])
        soft = np.resize(np.roll(SOFT, turn), len(each))
        targets = np.column_stack([np.zeros(len(each)), np.ones(len(each)), soft])
        asked.append(problem(plan, np.repeat(each, 3), targets.ravel(), constants))
    return asked


def first(plan: Plan) -> Problem:
    """A few ordinary samples with the usual settings."""
    usual = problem(plan, np.array([-1.5, 0.5, 2.0]), np.array([0.0, 1.0, 0.5]), settings(plan))
    return replace(usual, points=np.repeat(usual.points, 2, axis=0))

"""The settings and samples that the layers share: which γ and α are asked, and rows of logits as a
problem."""

from typing import Any

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.ports.questions import gammas
from parity_tests.ports.subject import Plan

Alpha = Any  # None, a number, or a list of one weight per class


def usual_gammas(plan: Plan, usual: tuple[float, ...]) -> list[float]:
    """Those of the usual γ that the plan leaves free, or its first one."""
    possible = gammas(plan)
    return [gamma for gamma in usual if gamma in possible] or list(possible[:1])


def usual_alpha(plan: Plan) -> Alpha:
    return plan.fixed.get("alpha", None if plan.record.classes else 0.25)


def hard_problem(plan: Plan, points: np.ndarray, ids: Any, gamma: float, alpha: Alpha) -> Problem:
    """Hard targets: `points` has a column of logits per class, or a single one for the sigmoid."""
    constants = {"gamma": gamma, "alpha": alpha}
    names: tuple[str, ...] = ("logits",)
    if plan.record.classes:
        classes = points.shape[1]
        names = tuple(f"logits{c}" for c in range(classes))
        if alpha is None:
            del constants["alpha"]
        elif isinstance(alpha, list):
            constants["alpha"] = alpha[:classes]
    return Problem(plan.record.asked_as, plan.dtype, names, points, np.asarray(ids), constants)

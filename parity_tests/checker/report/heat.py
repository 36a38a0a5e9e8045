"""Heat maps: the error of a port over margin and γ, in value and gradient, beside that of this
project's function.

A cell is an error in eps, "nan" where the port returned NaN, "inf" where the error is infinite, or
None where the port gave no answer. Rows are γ, columns margins.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import mpmath
import numpy as np

from parity_tests.checker.layers.judge import Finding, compared
from parity_tests.contract.exact import log_sum_exp, sigmoids
from parity_tests.contract.grid import rounded
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import allowed
from parity_tests.ports.frameworks import load
from parity_tests.ports.python import PythonPort, locate
from parity_tests.ports.signature import bind
from parity_tests.ports.subject import GRADIENT, VALUE, BadPortError, Plan, PortError, Subject

# Finer where the loss bends, and around 17, where 1 − p is gone in float32. All are numbers of
# every dtype.
STEPS = ((-40, -10, 4), (-10, -2, 1), (-2, 2, 0.25), (2, 22, 1), (22, 40, 2), (40, 101, 3))
TICKS = (-40, -10, 0, 10, 20, 40, 70, 100)
MARGINS = tuple(float(m) for start, stop, step in STEPS for m in np.arange(start, stop, step))
GAMMAS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.75, 4.0, 5.0)
# The other logits of a softmax. They differ, so that a port that mixes up two classes is seen.
OTHERS = (0.0, -1.0)
# Enough digits to tell two numbers of a dtype apart.
DIGITS = {"float64": 17, "float32": 9, "bfloat16": 4, "float16": 5}
ORDERS = {"value": VALUE, "gradient": GRADIENT}

Map = dict[str, Any]


def maps(subject: Subject, plan: Plan) -> Map:
    """Everything that the page draws, as plain data."""
    margins, gammas = _margins(subject, plan), _gammas(plan)
    reference, note = _reference(subject, plan)
    return {
        "margins": list(margins),
        "ticks": [m for m in TICKS if m in margins],
        "gammas": list(gammas),
        "about": _about(plan),
        "note": note,
        "port": _map(subject, plan, margins, gammas),
        "reference": _map(reference, reference.plan, margins, gammas) if reference else None,
    }


def _margins(subject: Subject, plan: Plan) -> tuple[float, ...]:
    """A port that gives one number per batch is asked at fewer, for it is called once for each."""
    margins = np.array(MARGINS)
    if getattr(subject, "one_by_one", False):
        margins = np.union1d(margins[::6], TICKS)
    if plan.probabilities:
        p = _probabilities(margins, plan.dtype)
        margins = margins[(p > 0) & (p < 1)]
    return tuple(margins.tolist())


def _gammas(plan: Plan) -> tuple[float, ...]:
    if "gamma" in plan.fixed:
        return (float(plan.fixed["gamma"]),)
    return GAMMAS[1:] if plan.convention("form") == "FL*" else GAMMAS


def _probabilities(margins: np.ndarray, dtype: str) -> np.ndarray:
    return rounded(sigmoids(margins), dtype)


def _about(plan: Plan) -> str:
    alpha = _alpha(plan)
    weight = "without α" if alpha is None else f"α = {alpha}"
    if plan.record.classes:
        return f"3 classes, the others at 0 and −1, {weight}"
    return f"target 1, {weight}" + (", p = σ(margin)" if plan.probabilities else "")


def _alpha(plan: Plan) -> Any:
    if plan.record.classes:
        weights = plan.fixed.get("alpha")
        return None if weights is None else tuple(weights)[: 1 + len(OTHERS)]
    return plan.fixed.get("alpha", 0.25)


def _problem(plan: Plan, gamma: float, margins: Sequence[float]) -> Problem:
    name, dtype, alpha = plan.record.name, plan.dtype, _alpha(plan)
    if plan.record.classes:
        return _softmax(name, dtype, gamma, alpha, tuple(margins))
    return _sigmoid(name, dtype, gamma, alpha, tuple(margins), plan.probabilities)


# Cached, for the truth is known by the problem: port and reference then share it.
@cache
def _sigmoid(
    name: str, dtype: str, gamma: float, alpha: Any, margins: tuple[float, ...], as_p: bool
) -> Problem:
    points = _probabilities(np.array(margins), dtype) if as_p else rounded(np.array(margins), dtype)
    constants = {"gamma": gamma, "alpha": alpha}
    return Problem(name, dtype, ("logits",), points[:, None], np.ones(len(margins), int), constants)


@cache
def _softmax(
    name: str, dtype: str, gamma: float, alpha: Any, margins: tuple[float, ...]
) -> Problem:
    ahead = np.array(margins) + log_sum_exp(OTHERS)
    rows = np.column_stack([ahead, *(np.full(len(margins), z) for z in OTHERS)])
    names = tuple(f"logits{c}" for c in range(1 + len(OTHERS)))
    constants = {"gamma": gamma} | ({"alpha": list(alpha)} if alpha else {})
    return Problem(name, dtype, names, rounded(rows, dtype), np.zeros(len(margins), int), constants)


def _map(subject: Subject, plan: Plan, margins: Sequence[float], gammas: Sequence[float]) -> Map:
    problems = [_problem(plan, gamma, margins) for gamma in gammas]
    drawn = {
        name: _order(subject, plan, problems, order) if order in subject.orders else None
        for name, order in ORDERS.items()
    }
    return {"title": subject.title, **drawn}


def _order(subject: Subject, plan: Plan, problems: list[Problem], order: int) -> Map:
    notes: list[str] = []
    rows = [_row(subject, plan, problem, order, notes) for problem in problems]
    limits = [
        allowed(p.function, ("logits",) * order, p.constants["gamma"], p.dtype) for p in problems
    ]
    parts = {
        part: [[cell[i] for cell in row] for row in rows]
        for i, part in enumerate(("error", "got", "truth"))
    }
    return {**parts, "allowed": limits, "note": "; ".join(dict.fromkeys(notes))}


def _row(
    subject: Subject, plan: Plan, problem: Problem, order: int, notes: list[str]
) -> list[tuple[Any, str, str]]:
    """One γ. A port that fails at it leaves the row without numbers, and a note."""
    try:
        findings = list(compared(problem, plan, order, subject.answer(problem, order)))
    except PortError as error:
        notes.append(f"γ = {problem.constants['gamma']:g}: {error}")
        return [(None, "", "")] * len(problem.points)
    size = len(findings) // len(problem.points)
    return [_cell(findings[i : i + size], problem.dtype) for i in range(0, len(findings), size)]


def _cell(findings: list[Finding], dtype: str) -> tuple[Any, str, str]:
    """The worst number of a sample: one of its logits in the gradient of a softmax."""
    worst = max(findings, key=lambda finding: (math.isnan(float(finding.got)), finding.error))
    return _error(worst), str(mpmath.nstr(mpmath.mpf(worst.got), DIGITS[dtype])), worst.truth


def _error(finding: Finding) -> float | str:
    """For JSON, which has neither NaN nor infinity."""
    if math.isnan(float(finding.got)):
        return "nan"
    return float(f"{finding.error:.4g}") if math.isfinite(finding.error) else "inf"


def _reference(subject: Subject, plan: Plan) -> tuple[Any, str]:
    """This project's function in the port's framework. One that is itself the port is set beside
    the other."""
    if not isinstance(subject, PythonPort):
        return None, "There is no reference beside it, for the port is not a Python function."
    frameworks = ("jax", "torch") if subject.framework.name == "jax" else ("torch", "jax")
    for name in frameworks:
        path = f"focal_{name}:{plan.record.name}"
        try:
            target = locate(path)
        except BadPortError:
            continue
        if target is not subject.target:
            return bind(PythonPort(path, target, load(name), Plan(plan.record, plan.dtype)), {}), ""
    return None, "There is no reference beside it, for neither JAX nor PyTorch is installed."

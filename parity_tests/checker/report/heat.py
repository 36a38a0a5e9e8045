"""Heat maps: the error of a port over margin and γ, in value and gradient, beside that of this
project's function.

A cell is an error in eps, "nan" where the port returned NaN, "inf" where the error is infinite, or
None where the port gave no answer. Rows are γ, columns margins.
"""

import math
from functools import cache
from typing import Any, NamedTuple

import mpmath
import numpy as np

from parity_tests.checker.layers.judge import Finding, compared
from parity_tests.contract.exact import log_sum_exp, sigmoids
from parity_tests.contract.grid import rounded
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import allowed
from parity_tests.ports.frameworks.load import load
from parity_tests.ports.linear import kind_of
from parity_tests.ports.locate import locate
from parity_tests.ports.python import PythonPort
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


class Cell(NamedTuple):
    """One point of a map: its error, and what was returned and expected as text."""

    error: float | str | None = None
    got: str = ""
    truth: str = ""


def maps(subject: Subject, plan: Plan) -> Map:
    """Everything that the page draws, as plain data."""
    margins, gammas = _margins(subject, plan), _gammas(plan)
    reference, note = _reference(subject, plan)
    drawn: Map = {"port": _map(subject, plan, margins, gammas), "reference": None}
    if reference is not None:
        drawn["reference"] = _map(reference, reference.plan, margins, gammas)
    return {
        "margins": list(margins),
        "ticks": [m for m in TICKS if m in margins],
        "gammas": list(gammas),
        "about": _about(plan),
        "note": note,
        **drawn,
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
    # FL* divides by γ.
    return GAMMAS[1:] if plan.convention("form") == "FL*" else GAMMAS


def _probabilities(margins: np.ndarray, dtype: str) -> np.ndarray:
    return rounded(sigmoids(margins), dtype)


def _about(plan: Plan) -> str:
    alpha = _alpha(plan)
    weight = "without α" if alpha is None else f"α = {alpha}"
    if plan.record.classes:
        return f"3 classes, the others at 0 and −1, {weight}"
    if plan.probabilities:
        weight += ", p = σ(margin)"
    return f"target 1, {weight}"


def _alpha(plan: Plan) -> Any:
    if not plan.record.classes:
        return plan.fixed.get("alpha", 0.25)
    weights = plan.fixed.get("alpha")
    if weights is None:
        return None
    return tuple(weights)[: 1 + len(OTHERS)]


def _problem(plan: Plan, gamma: float, margins: tuple[float, ...]) -> Problem:
    name, dtype, alpha = plan.record.asked_as, plan.dtype, _alpha(plan)
    if plan.record.classes:
        return _softmax(name, dtype, gamma, alpha, margins)
    return _sigmoid(name, dtype, gamma, alpha, margins, plan.probabilities)


# Cached, for the truth is known by the problem: port and reference then share it.
@cache
def _sigmoid(
    name: str, dtype: str, gamma: float, alpha: Any, margins: tuple[float, ...], as_p: bool
) -> Problem:
    points = np.array(margins)
    if as_p:
        points = sigmoids(points)
    points = rounded(points, dtype)
    constants = {"gamma": gamma, "alpha": alpha}
    ones = np.ones(len(margins), int)
    return Problem(name, dtype, ("logits",), points[:, None], ones, constants)


@cache
def _softmax(
    name: str, dtype: str, gamma: float, alpha: Any, margins: tuple[float, ...]
) -> Problem:
    ahead = np.array(margins) + log_sum_exp(OTHERS)
    others = np.tile(OTHERS, (len(margins), 1))
    rows = rounded(np.column_stack([ahead, others]), dtype)
    names = tuple(f"logits{c}" for c in range(1 + len(OTHERS)))
    constants: dict[str, Any] = {"gamma": gamma}
    if alpha:
        constants["alpha"] = list(alpha)
    first_class = np.zeros(len(margins), int)
    return Problem(name, dtype, names, rows, first_class, constants)


def _map(
    subject: Subject, plan: Plan, margins: tuple[float, ...], gammas: tuple[float, ...]
) -> Map:
    problems = [_problem(plan, gamma, margins) for gamma in gammas]
    drawn: Map = {"title": subject.title}
    for name, order in ORDERS.items():
        is_given = order in subject.orders
        drawn[name] = _order(subject, plan, problems, order) if is_given else None
    return drawn


def _order(subject: Subject, plan: Plan, problems: list[Problem], order: int) -> Map:
    notes: list[str] = []
    variables = ("logits",) * order
    drawn: Map = {part: [] for part in (*Cell._fields, "allowed")}
    for problem in problems:
        row = _row(subject, plan, problem, order, notes)
        for part in Cell._fields:
            drawn[part].append([getattr(cell, part) for cell in row])
        gamma = problem.constants["gamma"]
        drawn["allowed"].append(allowed(problem.function, variables, gamma, problem.dtype))
    drawn["note"] = "; ".join(dict.fromkeys(notes))
    return drawn


def _row(
    subject: Subject, plan: Plan, problem: Problem, order: int, notes: list[str]
) -> list[Cell]:
    """One γ. A port that fails at it leaves the row without numbers, and a note."""
    try:
        answer = subject.answer(problem, order)
        findings = list(compared(problem, plan, order, answer))
    except PortError as error:
        notes.append(f"γ = {problem.constants['gamma']:g}: {error}")
        return [Cell()] * len(problem.points)
    # A gradient of a softmax has a finding per class.
    size = len(findings) // len(problem.points)
    starts = range(0, len(findings), size)
    return [_cell(findings[i : i + size], problem.dtype) for i in starts]


def _cell(findings: list[Finding], dtype: str) -> Cell:
    """The worst number of a sample: one of its logits in the gradient of a softmax."""
    worst = max(findings, key=lambda finding: (math.isnan(float(finding.got)), finding.error))
    got = mpmath.nstr(mpmath.mpf(worst.got), DIGITS[dtype])
    return Cell(_error(worst), str(got), worst.truth)


def _error(finding: Finding) -> float | str:
    """For JSON, which has neither NaN nor infinity."""
    if math.isnan(float(finding.got)):
        return "nan"
    if not math.isfinite(finding.error):
        return "inf"
    return float(f"{finding.error:.4g}")


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
            own = Plan(plan.record, plan.dtype)
            port = kind_of(plan.record)(path, target, load(name), own)
            return bind(port, {}), ""
    return None, "There is no reference beside it, for neither JAX nor PyTorch is installed."

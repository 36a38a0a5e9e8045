"""One batch of six samples with its truths, which the options of a port are asked about."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.exact import Draws
from parity_tests.contract.grid import rounded
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES, SMALLEST_NORMAL, allowed
from parity_tests.ports.python import PythonPort
from parity_tests.ports.questions import gammas
from parity_tests.ports.subject import Plan
from parity_tests.truth.jets import Term

from . import truth
from .judge import Finding

# Adding up a dozen losses and dividing, in eps.
REDUCED = 3.0
KEPT = (True, False, True, True, False, True)
WEIGHTS = (0.5, 2.0, 0.0, 1.0, 4.0, 0.25)
CLASS_WEIGHTS = (0.5, 2.0, 0.25)


@dataclass(frozen=True)
class Call:
    """A batch with its truths, one per element."""

    problem: Problem
    terms: list[Term]
    arguments: dict[str, Any] = field(default_factory=dict)


def call_of(port: PythonPort, plan: Plan) -> Call:
    draws = Draws(5)
    gamma = next((g for g in (2.0, 0.5) if g in gammas(plan)), gammas(plan)[0])
    alpha = plan.fixed.get("alpha", None if plan.record.classes else 0.25)
    constants: dict[str, Any] = {"gamma": gamma}
    if plan.record.classes:
        points, ids = draws.bell((6, 3)) * 3, draws.integers(0, 3, 6)
        names: tuple[str, ...] = ("logits0", "logits1", "logits2")
        constants |= {} if alpha is None else {"alpha": list(alpha)[:3]}
    else:
        points, ids, names = draws.bell((6, 1)) * 3, np.array([1, 0, 0, 1, 1, 0]), ("logits",)
        constants |= {"alpha": alpha}
    problem = Problem(
        plan.record.name, plan.dtype, names, rounded(points, plan.dtype), ids, constants
    )
    terms = [jet[()] for jet in truth.jets(problem, plan)]
    return Call(problem, terms)


def logits_of(problem: Problem) -> np.ndarray:
    points = problem.points if problem.function == "softmax_focal_loss" else problem.points[:, 0]
    return points.astype(DTYPES[problem.dtype])


def findings_of(
    call: Call, got: np.ndarray, terms: list[Any], more: Mapping[str, Any], said: str
) -> Iterator[Finding]:
    problem = call.problem
    units = allowed(problem.function, (), problem.constants["gamma"], problem.dtype) + REDUCED
    flat = np.atleast_1d(got).astype(float)
    if flat.shape != (len(terms),):
        yield Finding(
            math.inf,
            units,
            f"shape {got.shape}",
            f"{len(terms)} losses",
            dict(more),
            f"a result of shape {got.shape}",
        )
        return
    point = (
        problem.constants
        | {key: str(x) for key, x in more.items()}
        | {"logits": problem.points[:, 0].tolist()}
    )
    for x, term in zip(flat.tolist(), terms, strict=True):
        error = error_in_eps(x, term, problem.dtype, SMALLEST_NORMAL[problem.dtype])
        yield Finding(error, units, x, str(mpmath.nstr(term.value, 17)), point, said)


def ask(port: PythonPort, call: Call, **more: Any) -> np.ndarray:
    logits = logits_of(call.problem)
    return port.call(logits, port.arguments(call.problem, logits) | more)


def total_of(terms: list[Term], factors: list[float], divisor: float = 1.0) -> Term:
    total = Term(mpf(0), mpf(0))
    with mpmath.workdps(40):
        for term, factor in zip(terms, factors, strict=True):
            share = mpf(factor) / mpf(divisor)
            total = total + term * Term(share, abs(share))
    return total


def poisoned(call: Call, poison: float) -> Call:
    """The same call with this number for the masked logits."""
    points = call.problem.points.copy()
    points[~np.array(KEPT)] = poison
    return Call(replace(call.problem, points=points), call.terms)

"""One batch of six samples with its truths, which the options of a port are asked about."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
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
from parity_tests.ports.subject import Plan
from parity_tests.truth.jets import Term

from . import truth
from .judge import Finding, digits
from .problems import hard_problem, usual_alpha, usual_gammas

Options = Mapping[str, Any]

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


def call_of(plan: Plan) -> Call:
    draws = Draws(5)
    if plan.record.classes:
        points = draws.bell((6, 3)) * 3
        ids = draws.integers(0, 3, 6)
    else:
        points = draws.bell((6, 1)) * 3
        ids = np.array([1, 0, 0, 1, 1, 0])
    gamma = usual_gammas(plan, (2.0, 0.5))[0]
    problem = hard_problem(plan, rounded(points, plan.dtype), ids, gamma, usual_alpha(plan))
    terms = [jet[()] for jet in truth.jets(problem, plan)]
    return Call(problem, terms)


def logits_of(problem: Problem) -> np.ndarray:
    points = problem.points if problem.function == "softmax_focal_loss" else problem.points[:, 0]
    return points.astype(DTYPES[problem.dtype])


def findings_of(
    call: Call, result: np.ndarray, terms: list[Term], options: Options, message: str
) -> Iterator[Finding]:
    """The result of a call with these options beside its terms, one finding each."""
    problem = call.problem
    units = allowed(problem.function, (), problem.constants["gamma"], problem.dtype) + REDUCED
    losses = np.atleast_1d(result).astype(float)
    if losses.shape != (len(terms),):
        shape = f"shape {result.shape}"
        expected = f"{len(terms)} losses"
        yield Finding(math.inf, units, shape, expected, dict(options), f"a result of {shape}")
        return
    point = dict(problem.constants)
    point |= {name: str(option) for name, option in options.items()}
    point["logits"] = problem.points[:, 0].tolist()
    floor = SMALLEST_NORMAL[problem.dtype]
    for x, term in zip(losses.tolist(), terms, strict=True):
        error = error_in_eps(x, term, problem.dtype, floor)
        yield Finding(error, units, x, digits(term), point, message)


def ask(port: PythonPort, call: Call, **options: Any) -> np.ndarray:
    logits = logits_of(call.problem)
    return port.call(logits, port.arguments(call.problem, logits) | options)


def masked(terms: list[Term], kept: Iterable[bool]) -> list[Term]:
    """The terms with exactly 0 where the mask is false."""
    result = list(terms)
    for index, keep in enumerate(kept):
        if not keep:
            result[index] = Term(mpf(0), mpf(1))
    return result


def weighted(terms: list[Term], factors: Iterable[float]) -> list[Term]:
    return [total_of([term], [factor]) for term, factor in zip(terms, factors, strict=True)]


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

"""The derivatives of a way beside their truths, and why they are wrong where it is known."""

import math
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import FLOOR, allowed
from parity_tests.ports.subject import SECOND, Plan, logit_names
from parity_tests.truth.jets import Jet, Term

from . import truth
from .batch import REDUCED, Call, with_lists
from .judge import Finding, digits
from .option_jets import jets_with
from .ways import Way

# How near a quotient has to come to be one of the known ones, which are not near each other.
NEAR = 0.01


def findings(
    plan: Plan, call: Call, way: Way, order: int, result: np.ndarray, rounding: np.ndarray
) -> Iterator[Finding]:
    problem = call.problem
    jets = jets_with(plan, call, way.options)
    units = allowed(problem.function, ("logits",) * order, call.gamma, plan.dtype) + REDUCED
    floor = FLOOR[plan.dtype][order]
    terms = _terms(problem, jets, way, order)
    message = _reason(way, order, terms, result)
    for index, x in np.ndenumerate(result):
        row, column = index if len(index) > 1 else (*index, 0)
        term = terms[row][column]
        where = _point(problem, plan, way, order, row, column)
        if not term.scale:
            yield Finding.exact(x == 0, x, "0.0", where, message)
            continue
        error = math.inf if math.isnan(x) else error_in_eps(x, term, plan.dtype, floor)
        limit = units + float(rounding[row, column])
        yield Finding(error, limit, x, digits(term), where, message)


def _point(
    problem: Problem, plan: Plan, way: Way, order: int, row: int, column: int
) -> dict[str, Any]:
    point = problem.sample(row) | problem.constants | with_lists(way.options)
    point |= {"derivative": order, "element": row, "dtype": plan.dtype}
    if plan.record.classes:
        point["class"] = column
    return point | {"cotangent": way.cotangent.tolist()}


def _terms(problem: Problem, jets: list[Jet], way: Way, order: int) -> list[list[Term]]:
    """What each derivative has to be: (elements, classes)."""
    names = logit_names(problem)
    cotangents = np.broadcast_to(way.cotangent, len(jets)).tolist()
    terms: list[list[Term]] = []
    for row, jet in enumerate(jets):
        of_row: list[Term] = []
        with mpmath.workdps(truth.DIGITS):
            factor = mpf(cotangents[row]) * mpf(float(way.factors[row])) / mpf(way.divisor)
            for name in names:
                own = truth.derivative(problem, jet, name, order)
                of_row.append(own * Term(factor, abs(factor)))
        terms.append(of_row)
    return terms


def _reason(way: Way, order: int, terms: list[list[Term]], result: np.ndarray) -> str:
    """Why it is wrong, where it is one of the known reasons."""
    kind = "second derivative" if order == SECOND else "gradient"
    left_out = way.factors == 0
    if np.any(result[left_out] != 0):
        return f"elements that {way.name} leaves out get a {kind}: it has to be exactly 0"
    expected = np.array([[float(term.value) for term in row] for row in terms])
    expected = expected.reshape(result.shape)
    known = (expected != 0) & np.isfinite(result)
    ratios = result[known] / expected[known]
    if not ratios.size:
        return f"the {kind} through {way.name} has to be 0"
    if _is_without_cotangent(way, ratios, known):
        return f"your {kind} ignores its cotangent, what comes from the operations after the loss"
    ratio = float(ratios[0])
    if np.allclose(ratios, ratio, rtol=NEAR):
        if way.divisor != 1 and math.isclose(ratio, way.divisor, rel_tol=NEAR):
            return f"the {kind} of {way.name} is that of the sum: {ratio:.3g} times too large here"
        return f"the {kind} through {way.name} is {ratio:.3g} times what it has to be"
    return f"the {kind} through {way.name} is not the derivative of the right loss"


def _is_without_cotangent(way: Way, ratios: np.ndarray, known: np.ndarray) -> bool:
    """Whether the quotients of gradient and truth are those of a cotangent of 1."""
    cotangents = np.broadcast_to(way.cotangent, len(known))
    rows = np.nonzero(known)[0]
    if np.allclose(cotangents, 1):
        return False
    return np.allclose(ratios * cotangents[rows], 1, rtol=NEAR)

"""Two results of a port that have to be the same, each of them right or wrong."""

import math
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.problems import Problem, power
from parity_tests.contract.tolerances import FLOOR, allowed
from parity_tests.ports.subject import PortError, logit_names
from parity_tests.truth.jets import Term

from .. import truth
from ..batch import Call, rounding_of
from ..judge import Finding, digits


def pairs(expected: np.ndarray, got: np.ndarray) -> Iterator[tuple[int, tuple[float, float]]]:
    if got.shape != expected.shape:
        raise PortError(f"a result of shape {got.shape}, not {expected.shape}, in the same call")
    numbers = zip(expected.astype(float).ravel(), got.astype(float).ravel(), strict=True)
    for index, (x, y) in enumerate(numbers):
        # What is not finite is a finding of other layers.
        if math.isfinite(x):
            yield index, (float(x), float(y))


def alike(
    problem: Problem,
    order: int,
    expected: float,
    got: float,
    where: dict[str, Any],
    message: str,
    rounding: float = 0.0,
    scale: float = 0.0,
) -> Finding:
    """Both may be off by as much as is allowed, and by what the port loses, in eps of a number or
    of its scale."""
    gamma = power(problem.function, problem.constants)
    units = 2 * allowed(problem.function, ("logits",) * order, gamma, problem.dtype)
    with mpmath.workdps(20):
        term = Term(mpf(expected), max(abs(mpf(expected)), mpf(scale)))
    error = math.inf
    if not math.isnan(got):
        error = error_in_eps(got, term, problem.dtype, FLOOR[problem.dtype][order])
    return Finding(error, units + rounding, got, digits(term), where, message)


def of_elements(
    call: Call,
    order: int,
    usual: np.ndarray,
    result: np.ndarray,
    where: dict[str, Any],
    message: str,
    rounding: np.ndarray,
) -> Iterator[Finding]:
    """A result for the elements of a call beside the usual one, either with its rounding."""
    problem = call.problem
    names = logit_names(problem) if order else [""]
    scales: list[float] = []
    for jet in call.jets:
        terms = [truth.derivative(problem, jet, name, order) for name in names]
        scales += [float(term.scale) for term in terms]
    # A textbook formula may round at another place.
    largest = np.maximum(rounding, rounding_of(result, call, order)).ravel().tolist()
    for index, (expected, got) in pairs(usual, result):
        point = problem.constants | where | {"derivative": order, "number": index}
        own = largest[index]
        yield alike(problem, order, expected, got, point, message, own, scales[index])

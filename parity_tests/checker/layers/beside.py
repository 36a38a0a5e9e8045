"""A loss as training has it: computed beside its gradient, and of logits that lie in memory in
another order. It has to be the one that is returned alone."""

import math
from collections.abc import Iterator
from typing import Any, Literal

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES, FLOOR, allowed
from parity_tests.ports.python import PythonPort
from parity_tests.ports.questions import first, hard
from parity_tests.ports.subject import GRADIENT, VALUE, Plan, PortError, RefusedError, Subject
from parity_tests.truth.jets import Term

from .backward import differentiable
from .batch import Call, call_of, logits_of
from .judge import Finding, digits, point

# By rows, or by columns.
Memory = Literal["C", "F"]
BESIDE = "the loss is another one where its gradient is taken"
IN_MEMORY = "the result is another one for a transposed array: logits lie in memory in other orders"


def beside_gradient(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    port = differentiable(subject, plan)
    if port is None:
        return
    for problem in [first(plan)] if port.one_by_one else hard(plan):
        logits = problem.argument("logits").astype(DTYPES[problem.dtype])
        arguments = port.arguments(problem, logits)
        try:
            alone = port.call(logits, arguments)
            beside = port.beside_gradient(logits, arguments)
        except PortError as error:
            failed.append(error)
            continue
        for index, (expected, got) in _pairs(alone, beside):
            where = point(problem, index) | {"beside": "its gradient"}
            yield _alike(problem, VALUE, expected, got, where, BESIDE)


def in_memory(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """Rows of logits whose axes are transposed, as those of a layer with channels last are."""
    if not isinstance(subject, PythonPort) or subject.one_by_one or subject.form.given:
        return
    if plan.probabilities:
        return
    call = call_of(plan)
    for order in (VALUE, GRADIENT):
        if order not in subject.orders:
            continue
        try:
            usual = _of_matrix(subject, call, order, "C")
            transposed = _of_matrix(subject, call, order, "F")
        except RefusedError:
            # It takes vectors alone.
            continue
        except PortError as error:
            failed.append(error)
            continue
        for index, (expected, got) in _pairs(usual, transposed):
            where = dict(call.problem.constants) | {"derivative": order, "number": index}
            yield _alike(call.problem, order, expected, got, where, IN_MEMORY)


def _of_matrix(port: PythonPort, call: Call, order: int, memory: Memory) -> np.ndarray:
    """The six elements as (6, C), or as (3, 2) of a sigmoid, in an order in memory."""
    logits = logits_of(call.problem)
    arguments = port.arguments(call.problem, logits)
    if logits.ndim == 1:
        logits = logits.reshape(3, 2)
        arguments["targets"] = np.array(arguments["targets"].reshape(3, 2), order=memory)
    return port.call(np.array(logits, order=memory), arguments, order)


def _pairs(expected: np.ndarray, got: np.ndarray) -> Iterator[tuple[int, tuple[float, float]]]:
    if got.shape != expected.shape:
        raise PortError(f"a result of shape {got.shape}, not {expected.shape}, in the same call")
    numbers = zip(expected.astype(float).ravel(), got.astype(float).ravel(), strict=True)
    for index, (x, y) in enumerate(numbers):
        # What is not finite is a finding of other layers.
        if math.isfinite(x):
            yield index, (float(x), float(y))


def _alike(
    problem: Problem, order: int, expected: float, got: float, where: dict[str, Any], message: str
) -> Finding:
    """Both may be off by as much as is allowed."""
    gamma = float(problem.constants["gamma"])
    units = 2 * allowed(problem.function, ("logits",) * order, gamma, problem.dtype)
    with mpmath.workdps(20):
        term = Term(mpf(expected), abs(mpf(expected)))
    error = math.inf
    if not math.isnan(got):
        error = error_in_eps(got, term, problem.dtype, FLOOR[problem.dtype][order])
    return Finding(error, units, got, digits(term), where, message)

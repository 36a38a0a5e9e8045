"""A loss as training has it: computed beside its gradient, and of logits that lie in memory in
another order. It has to be the one that is returned alone."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.compiled import beside_gradients
from parity_tests.ports.python import PythonPort
from parity_tests.ports.questions import first, hard
from parity_tests.ports.subject import GRADIENT, VALUE, Plan, PortError, RefusedError, Subject

from ..backward import differentiable
from ..batch import Call, call_of, logits_of
from ..judge import Finding, point
from .alike import alike, pairs

# By rows, or by columns.
Memory = Literal["C", "F"]
BESIDE = "the loss is another one where its gradient is taken"
IN_MEMORY = "the result is another one for a transposed array: logits lie in memory in other orders"


def beside_gradient(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    port = differentiable(subject, plan)
    if port is None:
        return
    problems = [first(plan)] if port.one_by_one else hard(plan)
    known = beside_gradients(port, problems)
    for problem in problems:
        logits = problem.argument("logits").astype(DTYPES[problem.dtype])
        arguments = port.arguments(problem, logits)
        try:
            alone = port.call(logits, arguments)
            findings = list(_beside(problem, alone, known[problem])) if problem in known else []
            # A compiled loss may round in another way, which is no other loss.
            if not findings or any(finding.error > finding.allowed for finding in findings):
                beside = port.beside_gradient(logits, arguments)
                findings = list(_beside(problem, alone, beside))
        except PortError as error:
            failed.append(error)
            continue
        yield from findings


def _beside(problem: Problem, alone: np.ndarray, beside: np.ndarray) -> Iterator[Finding]:
    for index, (expected, got) in pairs(alone, beside):
        where = point(problem, index) | {"beside": "its gradient"}
        yield alike(problem, VALUE, expected, got, where, BESIDE)


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
        for index, (expected, got) in pairs(usual, transposed):
            where = dict(call.problem.constants) | {"derivative": order, "number": index}
            yield alike(call.problem, order, expected, got, where, IN_MEMORY)


def _of_matrix(port: PythonPort, call: Call, order: int, memory: Memory) -> np.ndarray:
    """The six elements as (6, C), or as (3, 2) of a sigmoid, in an order in memory."""
    logits = logits_of(call.problem)
    arguments = port.arguments(call.problem, logits)
    if logits.ndim == 1:
        logits = logits.reshape(3, 2)
        arguments["targets"] = np.array(arguments["targets"].reshape(3, 2), order=memory)
    return port.call(np.array(logits, order=memory), arguments, order)

"""Gradients by the transformations of a framework: compiled or by `torch.func`, mapped over rows,
and in forward mode. A port may have another rule for each, and need not offer all."""

import math
from collections.abc import Iterator

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.tolerances import FLOOR, allowed
from parity_tests.ports.python import PythonPort, direction
from parity_tests.ports.subject import GRADIENT, Plan, PortError, RefusedError, Subject, logit_names
from parity_tests.ports.transformed import FORWARD, Batch, transformed
from parity_tests.truth.jets import Jet, Term

from . import truth
from .backward import differentiable
from .batch import REDUCED, Call, call_of, logits_of, own_rounding
from .derivatives import findings
from .judge import Finding, digits
from .ways import EVERY_OTHER, Way

# The derivative along a direction, in place of a gradient.
FORWARD_MESSAGE = "the derivative in forward mode is not that of reverse mode, nor of the loss"


def transformations(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    port = differentiable(subject, plan)
    if port is None or port.one_by_one:
        return
    call = call_of(plan)
    # Compiled formulas round at other places: the worst of the elements stands for each.
    rounding = own_rounding(port, call, GRADIENT)
    rounding = np.full_like(rounding, rounding.max())
    for name, answer in _answers(port, call).items():
        if isinstance(answer, RefusedError):
            failed.append(RefusedError(f"{name} is not offered: {answer}"))
        elif name == FORWARD:
            yield from _along(plan, call, answer.astype(float), float(rounding.max()))
        elif answer.shape != logits_of(call.problem).shape:
            failed.append(RefusedError(f"{name}: a gradient of shape {answer.shape}"))
        else:
            way = Way(name, np.array(EVERY_OTHER), np.ones(len(EVERY_OTHER)))
            yield from findings(plan, call, way, GRADIENT, answer.astype(float), rounding)


def _answers(port: PythonPort, call: Call) -> dict[str, np.ndarray | RefusedError]:
    logits = logits_of(call.problem)
    settings = port.arguments(call.problem, logits)
    targets: np.ndarray = settings.pop("targets")
    cotangent = np.array(EVERY_OTHER, logits.dtype)
    batch = Batch(logits, targets, cotangent, _direction(settings, logits))
    return transformed(port, batch, settings)


def _direction(settings: dict[str, np.ndarray], logits: np.ndarray) -> np.ndarray:
    if logits.ndim == 1:
        return np.array(EVERY_OTHER, logits.dtype)
    return np.array(direction(settings, logits))


def _along(plan: Plan, call: Call, derivatives: np.ndarray, rounding: float) -> Iterator[Finding]:
    problem = call.problem
    units = allowed(problem.function, ("logits",), call.gamma, plan.dtype) + REDUCED + rounding
    floor = FLOOR[plan.dtype][GRADIENT]
    if derivatives.shape != (len(call.jets),):
        message = f"derivatives of shape {derivatives.shape} in forward mode"
        yield Finding.exact(False, message, "one for each element", {}, message)
        return
    for row, x in enumerate(derivatives.tolist()):
        term = _term(plan, call, call.jets[row], row)
        error = math.inf if math.isnan(x) else error_in_eps(x, term, plan.dtype, floor)
        point = problem.sample(row) | problem.constants | {"derivative": "in forward mode"}
        yield Finding(error, units, x, digits(term), point, FORWARD_MESSAGE)


def _term(plan: Plan, call: Call, jet: Jet, row: int) -> Term:
    """The derivative along the direction: 1, 2, … in the logits of classes."""
    names = logit_names(call.problem)
    steps = [float(c + 1) for c in range(len(names))]
    if not plan.record.classes:
        steps = [EVERY_OTHER[row]]
    total = Term(mpf(0), mpf(0))
    with mpmath.workdps(truth.DIGITS):
        for name, step in zip(names, steps, strict=True):
            total = total + jet[(name,)] * Term(mpf(step), abs(mpf(step)))
    return total

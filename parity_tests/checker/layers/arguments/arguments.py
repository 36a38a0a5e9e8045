"""Arguments as arrays: derivatives in γ, α, weight, and targets between 0 and 1, where a port takes
arrays for them and differentiates; and losses with several γ."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.tolerances import DTYPES, FLOOR, allowed
from parity_tests.ports.compiled import Answers, gradients_together
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import (
    GRADIENT,
    VALUE,
    Plan,
    PortError,
    RefusedError,
    Subject,
)

from ..backward import differentiable
from ..batch import (
    REDUCED,
    WEIGHTS,
    Call,
    findings_of,
    logits_of,
    own_rounding,
    usual_calls,
)
from ..judge import Finding, digits
from ..option_jets import jets_with
from ..several_gammas import ALIKE, Accepted, accepted_gammas
from ..ways import EVERY_OTHER
from .questions import Question, in_several_gammas, questions


def arguments(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    port = differentiable(subject, plan)
    if port is None or port.one_by_one or plan.convention("form") == "FL*":
        return
    usual, *others = usual_calls(plan)
    accepted = accepted_gammas(port, plan, usual, failed)
    yield from _of_call(port, plan, usual, accepted, failed)
    for call in others:
        yield from _of_call(port, plan, call, [], failed)


def _of_call(
    port: PythonPort, plan: Plan, call: Call, accepted: list[Accepted], failed: list[PortError]
) -> Iterator[Finding]:
    yield from _with_several_gammas(port, plan, call, accepted)
    asked = [question for question in questions(plan, call) if _is_taken(port, question)]
    asked += in_several_gammas(plan, call, accepted)
    known = _in_one_program(port, plan, call, asked)
    for question, answer in zip(asked, known, strict=True):
        try:
            yield from _findings(port, plan, call, question, answer)
        except RefusedError:
            # Most ports take numbers alone.
            continue
        except PortError as error:
            failed.append(error)


def _is_taken(port: PythonPort, question: Question) -> bool:
    return port.leaves_open(question.argument)


def _with_several_gammas(
    port: PythonPort, plan: Plan, call: Call, accepted: list[Accepted]
) -> Iterator[Finding]:
    """Losses with several γ, where the port accepts them."""
    rounding = float(own_rounding(port, call, VALUE).max()) if accepted else 0.0
    for name, options, losses in accepted:
        terms = [jet[()] for jet in jets_with(plan, call, options)]
        message = (
            f"{name}: the losses are not those of these γ; if the loss takes one number, an array "
            "has to be an error"
        )
        for finding in findings_of(call, losses, terms, options, message):
            yield finding._replace(allowed=finding.allowed + rounding)


def _in_one_program(port: PythonPort, plan: Plan, call: Call, questions: list[Question]) -> Answers:
    """The gradients that can be compiled together."""
    logits = logits_of(call.problem)
    dtype = DTYPES[plan.dtype]
    values = [(question.argument, question.value.astype(dtype)) for question in questions]
    arguments = port.arguments(call.problem, logits)
    return gradients_together(port, values, logits, arguments, np.array(EVERY_OTHER, dtype))


def _agree(losses: np.ndarray, question: Question) -> bool:
    expected = [float(loss.value) for loss in question.losses]
    if question.argument == "weight":
        expected = [x * weight for x, weight in zip(expected, WEIGHTS, strict=True)]
    return losses.shape == (len(expected),) and np.allclose(losses, expected, rtol=ALIKE)


def _findings(
    port: PythonPort, plan: Plan, call: Call, question: Question, result: np.ndarray | None
) -> Iterator[Finding]:
    logits = logits_of(call.problem)
    dtype = DTYPES[plan.dtype]
    others = port.arguments(call.problem, logits)
    cotangent = np.array(EVERY_OTHER, dtype)
    value = question.value.astype(dtype)
    losses = port.call(logits, others | {question.argument: value}).astype(float)
    if not _agree(losses, question):
        # What a port makes of these arguments by itself is the question of other layers.
        return
    if result is None:
        result = port.gradient_in(question.argument, value, logits, others, cotangent)
    result = result.astype(float)
    if result.shape != value.shape:
        raise RefusedError(f"a gradient of shape {result.shape} in {question.argument}")
    units = allowed(call.problem.function, (question.argument,), call.gamma, plan.dtype) + REDUCED
    floor = FLOOR[plan.dtype][GRADIENT]
    message = f"the gradient in {question.argument} is not the derivative of the loss"
    if not result.any():
        message = f"the gradient in {question.argument} is 0 everywhere"
    for entry, (x, term) in enumerate(zip(result.ravel().tolist(), question.truths, strict=True)):
        error = math.inf if math.isnan(x) else error_in_eps(x, term, plan.dtype, floor)
        point: dict[str, Any] = dict(call.problem.constants)
        point |= {"derivative in": question.argument, "entry": entry}
        yield Finding(error, units, x, digits(term), point, message)

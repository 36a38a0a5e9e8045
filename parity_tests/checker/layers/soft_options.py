"""Options beside targets between 0 and 1, or class probabilities: what a port makes of these by
themselves is judged elsewhere, and its options have to do with that what they do with class ids."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports import questions
from parity_tests.ports.compiled import Answers, Asked, answers_together
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import GRADIENT, VALUE, Plan, PortError, RefusedError, Subject

from .arrangements.alike import alike, pairs
from .batch import KEPT, SMOOTHING, WEIGHTS
from .judge import Finding

# Beside each other in the grid; with targets of all kinds.
SIX = slice(0, 6)
# Smoothed probabilities are rounded to the dtype, in eps.
SMOOTHED = 4.0


@dataclass(frozen=True)
class Option:
    """What the losses are called with, what that multiplies them by, and a reduction's divisor."""

    arguments: dict[str, Any]
    factors: np.ndarray
    divisor: float = 0.0

    @property
    def named(self) -> str:
        return ", ".join(map(str, self.arguments))


def soft_options(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not isinstance(subject, PythonPort) or subject.one_by_one or plan.probabilities:
        return
    problems = questions.soft(plan)
    if not problems or subject.form.given:
        return
    few = replace(problems[-1], points=problems[-1].points[SIX])
    for order in (VALUE, GRADIENT):
        if order not in subject.orders:
            continue
        try:
            own = subject.answer(few, order)
        except RefusedError:
            # It takes hard targets alone.
            return
        options = list(_options(subject, plan))
        known = _in_one_program(subject, few, order, options)
        for option, answer in zip(options, known, strict=True):
            try:
                yield from _findings(subject, few, order, option, own, answer)
            except PortError as error:
                failed.append(error)
        if plan.record.classes and subject.takes("label_smoothing"):
            yield from _smoothed(subject, few, order)


def _options(port: PythonPort, plan: Plan) -> Iterator[Option]:
    kept = np.array(KEPT)
    weight = np.array(WEIGHTS)
    everything = np.ones(len(KEPT))
    if port.takes("where"):
        yield Option({"where": kept}, everything * kept)
    if port.takes("weight"):
        yield Option({"weight": weight.astype(DTYPES[plan.dtype])}, weight)
    if not port.takes("reduction") or "reduction" in plan.fixed:
        return
    yield Option({"reduction": "sum"}, everything, 1.0)
    if plan.convention("mean") in ("kept", "all"):
        yield Option({"reduction": "mean"}, everything, float(len(KEPT)))
    if port.takes("where") and plan.convention("mean") == "kept":
        masked = {"where": kept, "reduction": "mean"}
        yield Option(masked, everything * kept, float(kept.sum()))


def _in_one_program(
    port: PythonPort, problem: Problem, order: int, options: list[Option]
) -> Answers:
    logits = problem.argument("logits").astype(DTYPES[problem.dtype])
    plain = port.arguments(problem, logits)
    asked = [Asked(plain | option.arguments, order) for option in options]
    (answers,) = answers_together(port, asked, [logits])
    return answers


def _findings(
    port: PythonPort,
    problem: Problem,
    order: int,
    option: Option,
    own: np.ndarray,
    result: np.ndarray | None,
) -> Iterator[Finding]:
    expected = (own.T * option.factors).T
    if option.divisor:
        expected = expected / option.divisor
    if option.divisor and order == VALUE:
        expected = expected.sum()
    if result is None:
        logits = problem.argument("logits").astype(DTYPES[problem.dtype])
        arguments = port.arguments(problem, logits) | option.arguments
        result = port.call(logits, arguments, order)
    message = f"{option.named} has another effect with soft targets"
    for index, (x, got) in pairs(np.asarray(expected), result):
        point = problem.constants | {"option": option.named, "derivative": order, "number": index}
        yield alike(problem, order, x, got, point, message)


def _smoothed(port: PythonPort, problem: Problem, order: int) -> Iterator[Finding]:
    """The loss of smoothed probabilities is that of the probabilities with smoothing."""
    targets = problem.argument("targets")
    smooth = (1 - SMOOTHING) * targets + SMOOTHING / targets.shape[1]
    logits = problem.argument("logits").astype(DTYPES[problem.dtype])
    arguments = port.arguments(problem, logits)
    theirs = arguments | {"targets": smooth.astype(logits.dtype)}
    expected = port.call(logits, theirs, order)
    try:
        result = port.call(logits, arguments | {"label_smoothing": SMOOTHING}, order)
    except RefusedError:
        # Smoothing may be for class ids alone.
        return
    message = "label_smoothing has another effect with soft targets"
    for index, (x, got) in pairs(expected, result):
        point = problem.constants | {"derivative": order, "number": index}
        yield alike(problem, order, x, got, point, message, rounding=SMOOTHED)

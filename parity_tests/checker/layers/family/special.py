"""Special values of varifocal, heatmap and asymmetric losses."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES, LARGEST
from parity_tests.ports.family_questions import problem, settings
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import GRADIENT, VALUE, Plan, PortError, Subject
from parity_tests.truth.jets import Jet

from .. import truth
from ..judge import Check, Finding, point

TARGETS = (0.0, 1.0, 0.5, 0.25)
# So far out a loss that grows is above this, and one that does not is at its limit.
FAR = 1e6
GROWN = 100.0
INFINITE = (-math.inf, math.inf)
TURNS = (0, 1, 2)


def limits(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """At infinite logits a loss and its slope are what they are on the way there."""
    logits = np.repeat(INFINITE, len(TARGETS))
    targets = np.tile(TARGETS, len(INFINITE))
    far_out = min(FAR, LARGEST[plan.dtype] / 2)
    for turn in TURNS:
        constants = settings(plan, turn)
        near = problem(plan, np.sign(logits) * far_out, targets, constants)
        far = problem(plan, logits, targets, constants)
        for order in (VALUE, GRADIENT):
            if order in subject.orders:
                yield from _limits(subject, far, truth.jets(near, plan), order, failed)


def _limits(
    subject: Subject, far: Problem, jets: Sequence[Jet], order: int, failed: list[PortError]
) -> Iterator[Finding]:
    try:
        answers = subject.answer(far, order)
    except PortError as error:
        failed.append(error)
        return
    message = "an infinite logit has the limits of the loss and of its slope"
    for row, jet in enumerate(jets):
        value = float(jet[("logits",) * order].value)
        expected = math.inf if value > GROWN else value
        got = float(answers[row])
        # What is no number of the dtype, such as the usual shift, is rounded.
        right = math.isclose(got, expected, rel_tol=1e-2 if _is_half(far) else 1e-6)
        if abs(expected) < 1 / GROWN / FAR:
            right = got == 0
        yield Finding.exact(right, got, f"{expected:g}", point(far, row, 0, order), message)


def _is_half(asked: Problem) -> bool:
    return np.dtype(DTYPES[asked.dtype]).itemsize == 2


def nan_alone(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    logits = np.array([0.5, math.nan, -1.0, 2.0])
    asked = problem(plan, logits, np.array(TARGETS), settings(plan))
    try:
        losses = subject.answer(asked, VALUE)
    except PortError as error:
        failed.append(error)
        return
    message = "a NaN logit makes its own loss NaN, and no other"
    for row, (x, logit) in enumerate(zip(losses.tolist(), logits.tolist(), strict=True)):
        expected = "nan" if math.isnan(logit) else "a number"
        right = math.isnan(x) == math.isnan(logit)
        yield Finding.exact(right, x, expected, point(asked, row), message)


def no_elements(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from _shape(subject, plan, failed, (0,))


def one_number(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from _shape(subject, plan, failed, ())


def _shape(
    subject: Subject, plan: Plan, failed: list[PortError], shape: tuple[int, ...]
) -> Iterator[Finding]:
    port = in_batches(subject)
    if port is None or not port.form.is_usual:
        return
    logits = np.full(shape, 0.5, DTYPES[plan.dtype])
    arguments = settings(plan) | {"targets": np.zeros_like(logits), "reduction": "none"}
    try:
        losses = port.call(logits, arguments)
    except PortError as error:
        failed.append(error)
        return
    message = f"logits of shape {shape} give losses of shape {losses.shape}"
    got, expected = f"shape {losses.shape}", f"shape {shape}"
    where_at = {"logits of shape": shape}
    yield Finding.exact(losses.shape == shape, got, expected, where_at, message)


def in_batches(subject: Subject) -> PythonPort | None:
    """The port that can be called by hand with arrays of any shape."""
    if isinstance(subject, PythonPort) and not subject.one_by_one:
        return subject
    return None


CHECKS: tuple[Check, ...] = (limits, nan_alone, no_elements, one_number)
SPECIAL = {check.__name__: check for check in CHECKS}

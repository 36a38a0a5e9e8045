"""Shapes that do not fit, which have to be an error, and logits in more axes than one."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.python import PythonPort
from parity_tests.ports.questions import first
from parity_tests.ports.subject import VALUE, Plan, PortError, RefusedError, Subject

from .arrangements.alike import of_elements
from .batch import call_of, findings_of, logits_of, own_rounding, total_of
from .judge import Check, Finding
from .reductions import divisors, plain

# Six elements; of softmax rows with three classes, which no other axis has two of.
PLACES = (3, 2)


def _refuses(port: PythonPort, plan: Plan, targets: tuple[int, ...]) -> Iterator[Finding]:
    """Shapes that do not fit have to be an error, not a broadcast."""
    dtype = DTYPES[plan.dtype]
    if plan.record.classes:
        logits = np.full((4, 3), 0.5, dtype)
        labels = np.zeros(targets, np.int64)
    else:
        logits = np.full(4, 0.5, dtype)
        labels = np.zeros(targets, dtype)
    problem = first(plan)
    arguments = port.arguments(problem, logits_of(problem)) | {"targets": labels}
    point = {"targets of shape": targets}
    try:
        result = port.call(logits, arguments)
    except RefusedError:
        yield Finding.exact(True, "an error", "an error", point, "")
        return
    shape = f"shape {result.shape}"
    message = (
        f"logits {logits.shape} with targets {targets} gave a loss of {shape}; "
        "it has to be an error"
    )
    yield Finding.exact(False, shape, "an error", point, message)


def column_targets(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if isinstance(subject, PythonPort) and subject.form.is_usual:
        yield from _refuses(subject, plan, (4, 1))


def longer_targets(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if isinstance(subject, PythonPort) and subject.form.is_usual:
        yield from _refuses(subject, plan, (2, 4) if plan.record.classes else (1,))


def more_axes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """Rows of an image, say: the same losses and the same mean, or an error."""
    if not isinstance(subject, PythonPort) or subject.one_by_one or not subject.form.is_usual:
        return
    if plan.probabilities:
        return
    call = call_of(plan)
    rows = logits_of(call.problem)
    arguments = subject.arguments(call.problem, rows)
    logits = rows.reshape(*PLACES, *rows.shape[1:])
    arguments["targets"] = arguments["targets"].reshape(PLACES)
    message = f"logits of shape {logits.shape} have another loss"
    options: dict[str, Any] = {"logits of shape": logits.shape}
    try:
        losses = subject.call(logits, arguments)
    except RefusedError:
        yield Finding.exact(True, "an error", "an error", options, "")
        return
    if losses.shape != PLACES:
        shape = f"shape {losses.shape}"
        yield Finding.exact(False, shape, f"shape {PLACES}", options, f"{message}: of {shape}")
        return
    usual = subject.answer(call.problem, VALUE)
    rounding = own_rounding(subject, call, VALUE)
    rows = losses.astype(float).reshape(-1)
    yield from of_elements(call, VALUE, usual, rows, options, message, rounding)
    for reduction, divisor in divisors(subject, plan, plain(call), call).items():
        total = total_of(call.terms, plain(call).weights.tolist(), divisor)
        result = subject.call(logits, arguments | {"reduction": reduction})
        asked = options | {"reduction": reduction}
        yield from findings_of(call, result, [total], asked, f"{message} for {reduction}")


CHECKS: tuple[Check, ...] = (column_targets, longer_targets, more_axes)
ERRORS = {check.__name__: check for check in CHECKS}

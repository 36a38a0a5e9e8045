"""What a port offers beside logits and targets: masks, weights, reductions, smoothing; and shapes
that do not fit.

Each option is asked only of ports that take it. The truth is the unreduced truth, masked, weighted
and added up in arbitrary precision, under the convention for mean that the port declares.
"""

import math
from collections.abc import Iterator

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.python import PythonPort
from parity_tests.ports.questions import first
from parity_tests.ports.subject import Plan, PortError, RefusedError, Subject
from parity_tests.truth import oracle
from parity_tests.truth.jets import Term

from .batch import (
    CLASS_WEIGHTS,
    KEPT,
    WEIGHTS,
    ask,
    call_of,
    findings_of,
    logits_of,
    poisoned,
    total_of,
)
from .judge import Finding
from .reductions import own_reduction, reductions
from .special import Check


def where(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """Masked elements are exactly 0, whatever their logits hold."""
    call = call_of(port, plan)
    terms = [
        term if kept else Term(mpf(0), mpf(1)) for term, kept in zip(call.terms, KEPT, strict=True)
    ]
    for poison in (0.5, math.nan, math.inf):
        got = ask(port, poisoned(call, poison), where=np.array(KEPT))
        said = "masked elements must be 0 whatever their logits are, and the others as they were"
        yield from findings_of(call, got, terms, {"where": KEPT, "masked logits": poison}, said)


def weight(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    call, factors = call_of(port, plan), WEIGHTS
    terms = [total_of([term], [factor]) for term, factor in zip(call.terms, factors, strict=True)]
    got = ask(port, call, weight=np.array(factors, DTYPES[plan.dtype]))
    yield from findings_of(call, got, terms, {"weight": factors}, "weight is a factor of each loss")


def ignore_index(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    call = call_of(port, plan)
    kept = [t != 0 for t in call.problem.ids.tolist()] if call.problem.ids is not None else []
    terms = [
        term if keep else Term(mpf(0), mpf(1)) for term, keep in zip(call.terms, kept, strict=True)
    ]
    got = ask(port, call, ignore_index=0)
    yield from findings_of(
        call, got, terms, {"ignore_index": 0}, "ignored elements must be 0, the others as they were"
    )


def label_smoothing(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    call, terms = call_of(port, plan), []
    assert call.problem.ids is not None
    for row, target in zip(call.problem.points.tolist(), call.problem.ids.tolist(), strict=True):
        smooth = [mpf(0.875) * (c == target) + mpf(0.125) / 3 for c in range(3)]
        constants = call.problem.constants
        with mpmath.workdps(40):
            jet = oracle.softmax_focal_loss(row, smooth, constants.get("alpha"), constants["gamma"])
        terms.append(jet[()])
    got = ask(port, call, label_smoothing=0.125)
    yield from findings_of(
        call, got, terms, {"label_smoothing": 0.125}, "smoothing mixes the target with 1/C"
    )


def alpha(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """One weight per class of a softmax, which may be above 1."""
    call, weights = call_of(port, plan), CLASS_WEIGHTS
    if not plan.record.classes or "alpha" in plan.fixed or call.problem.ids is None:
        return
    factors = [weights[t] for t in call.problem.ids.tolist()]
    terms = [total_of([term], [factor]) for term, factor in zip(call.terms, factors, strict=True)]
    got = ask(port, call, alpha=np.array(weights, DTYPES[plan.dtype]))
    yield from findings_of(call, got, terms, {"alpha": weights}, "alpha is one weight per class")


OPTIONS = (where, weight, alpha, ignore_index, label_smoothing)


def options(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not isinstance(subject, PythonPort) or plan.probabilities:
        return
    checks = [
        option for option in OPTIONS if subject.takes(option.__name__) and not subject.one_by_one
    ]
    if subject.takes("reduction") or subject.one_by_one:
        checks.append(reductions if subject.takes("reduction") else own_reduction)
    for check in checks:
        try:
            yield from check(subject, plan)
        except PortError as error:
            failed.append(type(error)(f"{check.__name__}: {error}"))


def _refuses(port: PythonPort, plan: Plan, targets: tuple[int, ...]) -> Iterator[Finding]:
    """Shapes that do not fit have to be an error, not a broadcast."""
    dtype = DTYPES[plan.dtype]
    logits = np.full((4, 3) if plan.record.classes else (4,), 0.5, dtype)
    labels = np.zeros(targets, np.int64 if plan.record.classes else dtype)
    problem = first(plan)
    arguments = port.arguments(problem, logits_of(problem)) | {"targets": labels}
    try:
        got = port.call(logits, arguments)
    except RefusedError:
        yield Finding(0.0, 0.0, "an error", "an error", {"targets of shape": targets})
        return
    said = f"logits {logits.shape} with targets {targets} gave a loss of shape {got.shape}; it has to be an error"
    yield Finding(
        math.inf, 0.0, f"shape {got.shape}", "an error", {"targets of shape": targets}, said
    )


def column_targets(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if isinstance(subject, PythonPort):
        yield from _refuses(subject, plan, (4, 1))


def longer_targets(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if isinstance(subject, PythonPort):
        yield from _refuses(subject, plan, (1,) if not plan.record.classes else (2, 4))


ERRORS: dict[str, Check] = {check.__name__: check for check in (column_targets, longer_targets)}

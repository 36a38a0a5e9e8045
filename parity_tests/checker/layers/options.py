"""What a port offers beside logits and targets: masks, weights, reductions, smoothing.

Each option is asked only of ports that take it. The truth is the unreduced truth, masked, weighted
and added up in arbitrary precision, under the convention for mean that the port declares.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.python import PythonPort
from parity_tests.ports.signature import DIVISOR
from parity_tests.ports.subject import Plan, PortError, Subject

from .batch import (
    CLASS_WEIGHTS,
    KEPT,
    SMOOTHING,
    WEIGHTS,
    Call,
    ask,
    call_of,
    calls_of,
    findings_of,
    masked,
    poisoned,
    total_of,
    weighted,
)
from .judge import Finding
from .option_jets import smooth_jets
from .reductions import DIVIDED, batches, divisors, plain, reductions


def where(port: PythonPort, plan: Plan, call: Call) -> Iterator[Finding]:
    """Masked elements are exactly 0, whatever their logits hold."""
    terms = masked(call.terms, KEPT)
    message = "masked elements must be 0 whatever their logits are, and the others as they were"
    for poison in (0.5, math.nan, math.inf):
        result = ask(port, poisoned(call, poison), where=np.array(KEPT))
        point = {"where": KEPT, "masked logits": poison}
        yield from findings_of(call, result, terms, point, message)
    if call.problem.ids is None:
        message = message.replace("logits", "targets")
        result = ask(port, poisoned(call, math.nan, targets=True), where=np.array(KEPT))
        point = {"where": KEPT, "masked targets": math.nan}
        yield from findings_of(call, result, terms, point, message)


def weight(port: PythonPort, plan: Plan, call: Call) -> Iterator[Finding]:
    terms = weighted(call.terms, WEIGHTS)
    result = ask(port, call, weight=np.array(WEIGHTS, DTYPES[plan.dtype]))
    message = "weight is a factor of each loss"
    yield from findings_of(call, result, terms, {"weight": WEIGHTS}, message)


def ignore_index(port: PythonPort, plan: Plan, call: Call) -> Iterator[Finding]:
    """A class, the usual number for what has none, and that of a border in a mask, which some
    elements of either class have."""
    kept = np.array(KEPT)
    message = "ignored elements must be 0, the others as they were"
    for index, mask in {0: call.targets != 0, -100: kept, 255: kept}.items():
        targets = np.where(mask, call.targets, index)
        if not plan.record.classes:
            targets = targets.astype(DTYPES[plan.dtype])
        options = {"ignore_index": index, "targets": targets}
        terms = masked(call.terms, mask.tolist())
        result = ask(port, call, **options)
        yield from findings_of(call, result, terms, {"ignore_index": index}, message)
        batch = plain(call)._replace(kept=mask)
        for reduction, divisor in divisors(port, plan, batch, call).items():
            result = ask(port, call, reduction=reduction, **options)
            total = total_of(terms, [1.0] * len(terms), divisor)
            point = {"ignore_index": index, "reduction": reduction}
            said = f"{reduction} divides by {divisor:g} here: what is ignored is left out"
            yield from findings_of(call, result, [total], point, said)


def label_smoothing(port: PythonPort, plan: Plan, call: Call) -> Iterator[Finding]:
    message = "smoothing mixes the target with 1/C"
    for smoothing in (SMOOTHING, 0.5):
        terms = [jet[()] for jet in smooth_jets(call, smoothing=smoothing)]
        result = ask(port, call, label_smoothing=smoothing)
        yield from findings_of(call, result, terms, {"label_smoothing": smoothing}, message)


def alpha(port: PythonPort, plan: Plan, call: Call) -> Iterator[Finding]:
    """One weight per class of a softmax, which may be above 1."""
    if not plan.record.classes or "alpha" in plan.fixed:
        return
    terms = weighted(call.terms, np.take(CLASS_WEIGHTS, call.targets).tolist())
    result = ask(port, call, alpha=np.array(CLASS_WEIGHTS, DTYPES[plan.dtype]))
    message = "alpha is one weight per class"
    yield from findings_of(call, result, terms, {"alpha": CLASS_WEIGHTS}, message)


def divisor(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """A number by which the port divides its loss, whatever its reduction."""
    call = call_of(plan)
    batch = plain(call)._replace(options={DIVISOR: DIVIDED})
    message = f"the loss has to be divided by {DIVIDED:g}, which is passed"
    if not port.one_by_one:
        terms = weighted(call.terms, [1 / DIVIDED] * len(call.terms))
        result = ask(port, call, **batch.options)
        yield from findings_of(call, result, terms, batch.options, message)
        return
    for own in divisors(port, plan, batch, call).values():
        total = total_of(call.terms, batch.weights.tolist(), own * DIVIDED)
        result = ask(port, call, **batch.options)
        yield from findings_of(call, result, [total], batch.options, message)


# What the findings of a call with an option are.
Option = Callable[[PythonPort, Plan, Call], Iterator[Finding]]
OPTIONS: dict[str, Option] = {
    "where": where,
    "weight": weight,
    "alpha": alpha,
    "ignore_index": ignore_index,
    "label_smoothing": label_smoothing,
}


def _twice(option: Option, port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """With the usual settings, and with others."""
    for call in calls_of(plan):
        yield from option(port, plan, call)


def together(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """Each two of them."""
    call = call_of(plan)
    for batch in batches(port, plan, call):
        if batch.is_pair:
            names = " beside ".join(batch.options)
            message = f"{names} has another effect than both of them"
            result = ask(port, call, **batch.options)
            yield from findings_of(call, result, batch.terms(call), batch.options, message)


def options(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not isinstance(subject, PythonPort) or plan.probabilities:
        return
    for name, check in _checks(subject).items():
        try:
            yield from check(subject, plan)
        except PortError as error:
            failed.append(type(error)(f"{name}: {error}"))


def _checks(port: PythonPort) -> dict[str, Callable[[PythonPort, Plan], Iterator[Finding]]]:
    """By the name that stands before an error."""
    checks: dict[str, Callable[[PythonPort, Plan], Iterator[Finding]]] = {}
    if not port.one_by_one:
        for name, option in OPTIONS.items():
            if port.leaves_open(name):
                checks[name] = partial(_twice, option)
        checks["two options"] = together
    if port.takes("reduction") or port.one_by_one:
        checks["reductions"] = reductions
    if port.takes(DIVISOR):
        checks[DIVISOR] = divisor
    return checks


def in_other_dtypes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """Masks and weights: what is left out may be more than half precision holds."""
    if not isinstance(subject, PythonPort) or subject.one_by_one or plan.probabilities:
        return
    for dtype in plan.record.dtypes:
        other = replace(plan, dtype=dtype)
        for name in ("where", "weight"):
            if dtype == plan.dtype or not subject.leaves_open(name):
                continue
            try:
                for finding in OPTIONS[name](subject, other, call_of(other)):
                    yield finding._replace(point=finding.point | {"dtype": dtype})
            except PortError as error:
                failed.append(error)

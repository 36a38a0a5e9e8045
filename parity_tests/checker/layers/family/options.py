"""Masks, weights and reductions of varifocal, heatmap and asymmetric losses."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from parity_tests.contract.grid import rounded
from parity_tests.contract.problems import HEATMAP
from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.family_questions import problem, settings
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import Plan, PortError, Subject

from .. import truth
from ..batch import KEPT, WEIGHTS, Call, ask, findings_of, masked, total_of, weighted
from ..judge import Finding
from ..options import weight, where
from .special import in_batches

# As many as KEPT and WEIGHTS have.
BATCH_LOGITS = (-2.0, 1.5, 0.25, 3.0, -0.75, 0.5)
BATCH_TARGETS = (0.0, 1.0, 0.5, 0.0, 1.0, 0.25)
IGNORED = (-100, 255)
TURNS = (0, 1)


def batch(plan: Plan, turn: int = 0) -> Call:
    logits = rounded(np.array(BATCH_LOGITS), plan.dtype)
    asked = problem(plan, logits, np.array(BATCH_TARGETS), settings(plan, turn))
    return Call(asked, truth.jets(asked, plan))


def options(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    """Masks, weights and reductions, each of them with two settings of the loss."""
    port = in_batches(subject)
    if port is None:
        return
    known = {"where": where, "weight": weight, "ignore_index": _ignored, "reduction": _reductions}
    for name, option in known.items():
        if not port.takes(name) or name in plan.fixed:
            continue
        try:
            for turn in TURNS:
                yield from option(port, plan, batch(plan, turn))
        except PortError as error:
            failed.append(type(error)(f"{name}: {error}"))


def _ignored(port: PythonPort, plan: Plan, call: Call) -> Iterator[Finding]:
    kept = np.array(BATCH_TARGETS) != 1
    terms = masked(call.terms, kept.tolist())
    message = "ignored elements must be 0, the others as they were"
    for index in IGNORED:
        targets = np.where(kept, BATCH_TARGETS, index).astype(DTYPES[plan.dtype])
        result = ask(port, call, ignore_index=index, targets=targets)
        yield from findings_of(call, result, terms, {"ignore_index": index}, message)


def _reductions(port: PythonPort, plan: Plan, call: Call) -> Iterator[Finding]:
    """Alone, beside a mask and beside weights, and of a batch without positives."""
    everything, kept = np.ones(len(KEPT), bool), np.array(KEPT)
    chosen: list[tuple[dict[str, Any], np.ndarray, Sequence[float]]] = [
        ({}, everything, np.ones(len(KEPT)).tolist())
    ]
    if port.takes("where"):
        chosen.append(({"where": kept}, kept, kept.astype(float).tolist()))
    if port.takes("weight"):
        weights = np.array(WEIGHTS, DTYPES[plan.dtype])
        chosen.append(({"weight": weights}, everything, WEIGHTS))
    for given, mask, factors in chosen:
        terms = weighted(call.terms, factors)
        for reduction, divisor in _divisors(port, plan, call, mask).items():
            total = total_of(terms, [1.0] * len(terms), divisor)
            options = {"reduction": reduction} | given
            result = ask(port, call, **options)
            message = f"{reduction} divides by {divisor:g} here"
            yield from findings_of(call, result, [total], options, message)


def _divisors(port: PythonPort, plan: Plan, call: Call, mask: np.ndarray) -> dict[str, float]:
    count = len(mask) if plan.convention("mean") == "all" else int(mask.sum())
    offered = {"sum": 1.0, "mean": float(count)}
    if _has_mean_positive(port, call):
        targets = np.array(BATCH_TARGETS)
        if call.problem.function == HEATMAP:
            targets = (targets >= call.problem.constants["peak"]).astype(float)
        if plan.convention("mean_positive") == "positives":
            targets = (targets > 0).astype(float)
        offered["mean_positive"] = max(1.0, float(targets[mask].sum()))
    return offered


def _has_mean_positive(port: PythonPort, call: Call) -> bool:
    """Few ports have it; those that take any name for another one have not."""
    answered: list[bool] = []
    for name in ("mean_positive", "no such reduction"):
        try:
            ask(port, call, reduction=name)
        except PortError:
            answered.append(False)
        else:
            answered.append(True)
    return answered == [True, False]

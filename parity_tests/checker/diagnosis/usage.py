"""Faults beside the formula: shapes, options without effect, reductions and the precision of
sums."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from parity_tests.checker.layers.batch import CLASS_WEIGHTS, KEPT, WEIGHTS, ask, call_of
from parity_tests.checker.layers.judge import FAIL, verdict
from parity_tests.checker.layers.problems import usual_gammas
from parity_tests.checker.layers.reductions import reductions
from parity_tests.contract.tolerances import DTYPES, EPS
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import Plan, PortError

from . import messages
from .evidence import Diagnosis, Evidence

OPTIONS: dict[str, Any] = {
    "where": np.array(KEPT),
    "weight": np.array(WEIGHTS),
    "alpha": np.array(CLASS_WEIGHTS),
    "ignore_index": 0,
    "label_smoothing": 0.125,
}


def diagnose(evidence: Evidence) -> Iterator[Diagnosis]:
    port = evidence.subject
    if not isinstance(port, PythonPort) or evidence.plan.probabilities:
        return
    yield from _broadcast(port)
    if not port.one_by_one:
        yield from _without_effect(evidence.plan, port)
    if evidence.plan.record.classes:
        yield from _mixes_rows(evidence)
    if port.takes("reduction") or port.one_by_one:
        yield from _mean(evidence, port)
    if port.takes("reduction"):
        yield from _sum_precision(evidence, port)


def _broadcast(port: PythonPort) -> Iterator[Diagnosis]:
    """(N,) logits with (N, 1) targets."""
    if port.plan.record.classes:
        return
    logits = np.zeros(4, np.float32)
    settings = {"gamma": 2.0, "alpha": 0.25, "reduction": "none"}
    try:
        losses = port.call(logits, settings | {"targets": logits[:, None]})
    except PortError:
        return
    if losses.shape == (4, 4):
        yield Diagnosis("broadcast", "(N,) logits with (N, 1) targets are broadcast to (N, N)")


def _without_effect(plan: Plan, port: PythonPort) -> Iterator[Diagnosis]:
    """An option that the port takes, and that changes none of six losses."""
    call = call_of(plan)
    for name, value in OPTIONS.items():
        # α of a sigmoid has its own diagnosis.
        if name == "alpha" and not plan.record.classes:
            continue
        if name in plan.fixed or not port.takes(name):
            continue
        option = value
        if name in ("weight", "alpha"):
            option = value.astype(DTYPES[plan.dtype])
        try:
            without = ask(port, call)
            having = ask(port, call, **{name: option})
        except PortError:
            continue
        if np.array_equal(without, having):
            yield Diagnosis(f"{name}_ignored", f"your {name} has no effect")


def _mixes_rows(evidence: Evidence) -> Iterator[Diagnosis]:
    """The loss of a row, beside two different rows."""
    row, other = (0.5, -1.0, 0.25), (2.0, 0.5, -0.75)
    gamma = evidence.gammas[0]
    alike = evidence.ask((row, row, row), [0, 1, 2], gamma, evidence.alpha)
    mixed = evidence.ask((row, other, other), [0, 1, 2], gamma, evidence.alpha)
    if alike is not None and mixed is not None and not evidence.agrees(alike[:1], mixed[:1]):
        message = "the loss of a row depends on the other rows: your softmax is over the wrong axis"
        yield Diagnosis("mixes_rows", message)


def _mean(evidence: Evidence, port: PythonPort) -> Iterator[Diagnosis]:
    """Which divisor the mean has, if not the declared one."""
    plan = evidence.plan
    if not _reductions_fail(port, plan):
        return
    for choice, message in messages.MEAN.items():
        if choice != plan.convention("mean"):
            other = replace(plan, conventions={**plan.conventions, "mean": choice})
            if not _reductions_fail(port, other):
                yield Diagnosis(f"mean_{choice}", message)


def _reductions_fail(port: PythonPort, plan: Plan) -> bool:
    try:
        return verdict("options", reductions(port, plan), []).status == FAIL
    except PortError:
        return True


def _sum_precision(evidence: Evidence, port: PythonPort) -> Iterator[Diagnosis]:
    """The float16 sum of many equal losses, beside the float32 one."""
    if port.plan.record.classes:
        return
    count = 4096
    half = _sum(evidence, port, np.full(count, -1.0, np.float16))
    full = _sum(evidence, port, np.full(count, -1.0, np.float32))
    # Rounding the float32 sum once costs half an eps.
    if half and full and abs(half - full) > 0.75 * EPS["float16"] * full:
        message = (
            f"your sum of {count} float16 losses is {half:.6g}, not {full:.6g}: add in float32"
        )
        yield Diagnosis("half_sum", message)


def _sum(evidence: Evidence, port: PythonPort, logits: np.ndarray) -> float | None:
    gamma = usual_gammas(evidence.plan, (2.0,))[0]
    arguments = {"gamma": gamma, "alpha": evidence.alpha, "reduction": "sum"}
    try:
        return float(port.call(logits, arguments | {"targets": np.ones_like(logits)}))
    except (PortError, TypeError):
        return None

"""Faults beside the formula: shapes, options without effect, reductions and the precision of
sums."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from parity_tests.checker.layers.batch import CLASS_WEIGHTS, KEPT, WEIGHTS, ask, call_of
from parity_tests.checker.layers.judge import FAIL, verdict
from parity_tests.checker.layers.reductions import reductions
from parity_tests.contract.tolerances import DTYPES, EPS
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import Plan, PortError

from .evidence import Diagnosis, Evidence

MEAN_SAYS = {
    "kept": "your mean divides by the elements that are kept",
    "all": "you average over ignored elements: mean divides by all of them",
    "weights": "your mean divides by the sum of the weights, so a common weight has no effect",
    "nothing": "your mean is the sum: it divides by nothing",
}
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
    if port.takes("reduction"):
        yield from _mean(evidence, port)
        yield from _sum_precision(evidence, port)


def _broadcast(port: PythonPort) -> Iterator[Diagnosis]:
    """(N,) logits with (N, 1) targets."""
    if port.plan.record.classes:
        return
    dtype = np.dtype("float32")
    arguments = {
        "targets": np.zeros((4, 1), dtype),
        "gamma": 2.0,
        "alpha": 0.25,
        "reduction": "none",
    }
    try:
        got = port.call(np.zeros(4, dtype), arguments)
    except PortError:
        return
    if got.shape == (4, 4):
        yield Diagnosis("broadcast", "(N,) logits with (N, 1) targets are broadcast to (N, N)")


def _without_effect(plan: Plan, port: PythonPort) -> Iterator[Diagnosis]:
    """An option that the port takes, and that changes none of six losses."""
    call = call_of(port, plan)
    for name, x in OPTIONS.items():
        if (
            not port.takes(name)
            or name in plan.fixed
            or (name == "alpha" and not plan.record.classes)
        ):
            continue
        given = (
            x.astype(DTYPES[plan.dtype]) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x
        )
        try:
            without, having = ask(port, call), ask(port, call, **{name: given})
        except PortError:
            continue
        if np.array_equal(without, having):
            yield Diagnosis(f"{name}_ignored", f"your {name} has no effect")


def _mixes_rows(evidence: Evidence) -> Iterator[Diagnosis]:
    """The loss of a row, beside two different rows."""
    row, other = (0.5, -1.0, 0.25), (2.0, 0.5, -0.75)
    alike, mixed = (
        evidence.ask((row, x, x), [0, 1, 2], evidence.gammas[0], evidence.alpha)
        for x in (row, other)
    )
    if alike is not None and mixed is not None and not evidence.agrees(alike[:1], mixed[:1]):
        says = "the loss of a row depends on the other rows: your softmax is over the wrong axis"
        yield Diagnosis("mixes_rows", says)


def _mean(evidence: Evidence, port: PythonPort) -> Iterator[Diagnosis]:
    """Which divisor the mean has, if not the declared one."""
    plan = evidence.plan
    if _row(port, plan, reductions) != FAIL:
        return
    for choice, says in MEAN_SAYS.items():
        if choice != plan.convention("mean"):
            other = replace(plan, conventions={**plan.conventions, "mean": choice})
            if _row(port, other, reductions) != FAIL:
                yield Diagnosis(f"mean_{choice}", says)


def _row(port: PythonPort, plan: Plan, option: Any) -> str:
    failed: list[PortError] = []
    try:
        return verdict("options", list(option(port, plan)), failed).status
    except PortError:
        return FAIL


def _reduced(port: PythonPort, logits: np.ndarray, arguments: dict[str, Any]) -> float | None:
    try:
        return float(port.call(logits, arguments | {"targets": np.ones_like(logits)}))
    except (PortError, TypeError):
        return None


def _sum_precision(evidence: Evidence, port: PythonPort) -> Iterator[Diagnosis]:
    """The float16 sum of many equal losses, beside the float32 one."""
    if port.plan.record.classes:
        return
    gamma, count = 2.0 if 2.0 in evidence.gammas else evidence.gammas[-1], 4096
    arguments = {"gamma": gamma, "alpha": evidence.alpha, "reduction": "sum"}
    half, full = (
        _reduced(port, np.full(count, -1.0, dtype), arguments) for dtype in (np.float16, np.float32)
    )
    # Rounding the float32 sum once costs half an eps.
    if half and full and abs(half - full) > 0.75 * EPS["float16"] * full:
        says = f"your sum of {count} float16 losses is {half:.6g}, not {full:.6g}: add in float32"
        yield Diagnosis("half_sum", says)

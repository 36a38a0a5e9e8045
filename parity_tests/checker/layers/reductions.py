"""What a port's reductions divide by, with masks and weights; and one number for a batch where it
has no other."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import Plan, PortError

from .batch import CLASS_WEIGHTS, KEPT, WEIGHTS, Call, ask, call_of, findings_of, total_of
from .judge import Finding


def reductions(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """sum, mean and mean_positive, without a mask and with the one that the port takes, and with
    weights."""
    call = call_of(port, plan)
    ids = call.problem.ids
    assert ids is not None
    everything, ones = np.ones(6, bool), np.ones(6)
    batches: list[tuple[dict[str, Any], np.ndarray, np.ndarray]] = [({}, everything, ones)]
    if port.takes("where"):
        batches.append(({"where": np.array(KEPT)}, np.array(KEPT), ones))
    if port.takes("ignore_index"):
        batches.append(({"ignore_index": 0}, ids != 0, ones))
    if port.takes("weight"):
        batches.append(
            ({"weight": np.array(WEIGHTS, DTYPES[plan.dtype])}, everything, np.array(WEIGHTS))
        )
    if plan.record.classes and port.takes("alpha") and "alpha" not in plan.fixed:
        # α of a class is a factor of its losses, and enters no divisor but that of a declared
        # weighted mean.
        batches.append(
            (
                {"alpha": np.array(CLASS_WEIGHTS, DTYPES[plan.dtype])},
                everything,
                np.take(CLASS_WEIGHTS, ids),
            )
        )
    for more, kept, weights in batches:
        for reduction, divisor in _divisors(plan, kept, weights, ids).items():
            yield from _reduction(port, call, reduction, divisor, more, kept * weights)


def _divisors(
    plan: Plan, kept: np.ndarray, weights: np.ndarray, ids: np.ndarray
) -> dict[str, float]:
    means = {"kept": kept.sum(), "all": len(kept), "weights": (kept * weights).sum(), "nothing": 1}
    positives = kept.sum() if plan.record.classes else max(1, (kept & (ids == 1)).sum())
    return {
        "sum": 1.0,
        "mean": float(means[plan.convention("mean")]),
        "mean_positive": float(positives),
    }


def _reduction(
    port: PythonPort,
    call: Call,
    reduction: str,
    divisor: float,
    more: dict[str, Any],
    factors: np.ndarray,
) -> Iterator[Finding]:
    try:
        got = ask(port, call, reduction=reduction, **more)
    except PortError:
        if reduction != "mean_positive":
            raise
        return
    if reduction == "mean_positive" and got.shape:
        return
    said = f"{reduction} divides by {divisor:g} here; {', '.join(more) or 'nothing'} is given"
    yield from findings_of(
        call,
        got,
        [total_of(call.terms, factors.tolist(), divisor)],
        {"reduction": reduction} | more,
        said,
    )


def own_reduction(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """A port that only gives one number for a batch has to be the mean or the sum."""
    call = call_of(port, plan)
    got = ask(port, call)
    ones = [1.0] * len(call.terms)
    both = [
        list(
            findings_of(
                call,
                got,
                [total_of(call.terms, ones, divisor)],
                {},
                "one number that is neither mean nor sum",
            )
        )
        for divisor in (6.0, 1.0)
    ]
    yield from min(both, key=lambda found: found[0].error)

"""The facts about one implementation, found in a process of its own, where it may do what it likes.

    python -m parity_tests.checker.audit.facts < job.json

The job is an adapter and the layers of `check` to judge; the last line of the output is the facts
as JSON.
"""

import contextlib
import json
import sys
from typing import Any

import numpy as np

from parity_tests.checker.diagnosis.evidence import Evidence
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import LAYERS, layer
from parity_tests.checker.layers.judge import Row
from parity_tests.contract.tolerances import DTYPES, SMALLEST_NORMAL
from parity_tests.ports.python import PythonPort, first_line
from parity_tests.ports.questions import gammas
from parity_tests.ports.subject import GRADIENT, VALUE, PortError

from . import conventions
from .record import Adapter
from .wrappers import import_torchvision

MARGINS = np.arange(0, 90.01, 0.125)
# The first rungs, at which every implementation is accurate, say which factor α it has.
RUNGS = slice(0, 9)
OFF = 0.01


def port_of(adapter: Adapter) -> PythonPort:
    if adapter.torchvision:
        import_torchvision()
    options = Options(
        adapter.path,
        adapter.function,
        adapter.framework,
        adapter.names,
        adapter.fixed,
        adapter.extra,
        adapter.conventions,
    )
    return build(options)


def facts(adapter: Adapter, layers: tuple[str, ...]) -> dict[str, Any]:
    port: Any = port_of(adapter)
    evidence = Evidence(port, port.plan)
    rows = {
        name: layer(port, port.plan, name) for name in layers if adapter.shapes or name != "shapes"
    }
    return {
        "layers": {name: row.status for name, row in rows.items()},
        "value": _worst(rows.get("values")),
        "gradient": _worst(rows.get("gradients")),
        **_easy(evidence),
        "hard_off": _hard(evidence),
        "nan_easy": _nan(evidence, 1),
        "nan_hard": _nan(evidence, -1),
        "infinite": [_infinite(evidence, side) for side in (1, -1)],
        "dtypes": {dtype: _dtype(evidence, dtype) for dtype in ("float64", "bfloat16")},
        "alpha": conventions.alpha(evidence),
        "soft": conventions.soft_targets(evidence),
        "column": conventions.column(evidence) if adapter.shapes else "",
    }


def _worst(row: Row | None) -> dict[str, Any] | None:
    """Errors of infinitely many eps are told by what was returned."""
    if row is None or row.error is None or row.point is None:
        return None
    logits, gamma = row.point["logits"], row.point["gamma"]
    eps = row.error if np.isfinite(row.error) else None
    return {
        "eps": eps,
        "got": row.got,
        "logits": logits,
        "targets": row.point["targets"],
        "gamma": gamma,
    }


def _climb(
    evidence: Evidence, side: int, gamma: float, order: int = VALUE, target: int = 1
) -> np.ndarray | None:
    """The loss or slope of a class at growing margins, to its side or against it."""
    margins, ids = side * MARGINS, [target] * len(MARGINS)
    if not evidence.plan.record.classes:
        return evidence.ask(margins if target else -margins, ids, gamma, evidence.alpha, order)
    columns = (np.zeros_like(margins), margins) if target else (margins, np.zeros_like(margins))
    got = evidence.ask(np.stack(columns, 1), ids, gamma, evidence.alpha, order)
    return got if got is None or not order else got[:, target]


def _truth(evidence: Evidence, margins: np.ndarray, gamma: float) -> np.ndarray:
    """In float64, where none of its terms cancels."""
    if evidence.plan.convention("form") == "FL*":
        return np.logaddexp(0, -gamma * margins) / gamma
    return np.exp(-gamma * np.logaddexp(0, margins)) * np.logaddexp(0, -margins)


def _scaled(evidence: Evidence, got: np.ndarray | None, truth: np.ndarray) -> np.ndarray | None:
    if got is None:
        return None
    factors = got[RUNGS] / truth[RUNGS]
    return (
        got / np.mean(factors) if np.ptp(factors) <= 10 * evidence.near * np.mean(factors) else None
    )


def _first(condition: np.ndarray) -> float | None:
    return float(MARGINS[np.argmax(condition)]) if condition.any() else None


def _middle(evidence: Evidence) -> float:
    return 2.0 if 2.0 in gammas(evidence.plan) else gammas(evidence.plan)[-1]


def _easy(evidence: Evidence) -> dict[str, Any]:
    """Where examples of class 1 and class 0 that are learned have no loss, although it is a normal
    number."""
    gamma = _middle(evidence)
    truth = _truth(evidence, MARGINS, gamma)
    normal = truth > 4 * SMALLEST_NORMAL[evidence.plan.dtype]
    climbs = [_climb(evidence, 1, gamma, target=target) for target in (1, 0)]
    scaled = [_scaled(evidence, got, truth) for got in climbs]
    return {
        "focal": all(x is not None for x in scaled),
        "easy_zero": [None if got is None else _first(normal & (got == 0)) for got in climbs],
        "easy_off": [
            None if x is None else _first(normal & ~(np.abs(x - truth) <= OFF * truth))
            for x in scaled
        ],
    }


def _hard(evidence: Evidence) -> float | None:
    """Where an example that is missed no longer has its loss."""
    truth = _truth(evidence, -MARGINS, _middle(evidence))
    scaled = _scaled(evidence, _climb(evidence, -1, _middle(evidence)), truth)
    return None if scaled is None else _first(~(np.abs(scaled - truth) <= OFF * truth))


def _nan(evidence: Evidence, side: int) -> float | None:
    got = _climb(evidence, side, 0.5, GRADIENT) if 0.5 in gammas(evidence.plan) else None
    return None if got is None else _first(~np.isfinite(got))


def _infinite(evidence: Evidence, side: int) -> list[str]:
    """Loss and gradient of class 1 at an infinite margin, without their factor α."""
    gamma, classes = _middle(evidence), evidence.plan.record.classes
    row: Any = [[0.0, side * np.inf]] if classes else [side * np.inf]
    scale = _factor(evidence, gamma)
    shown = []
    for order in (VALUE, GRADIENT):
        got = evidence.ask(row, [1], gamma, evidence.alpha, order)
        shown.append("error" if got is None else f"{got.ravel()[-1] / scale + 0.0:.4g}")
    return shown


def _factor(evidence: Evidence, gamma: float) -> float:
    got, truth = _climb(evidence, 1, gamma), _truth(evidence, MARGINS, gamma)
    scaled = _scaled(evidence, got, truth)
    return 1.0 if scaled is None or got is None else float(np.mean(got[RUNGS] / truth[RUNGS]))


def _dtype(evidence: Evidence, dtype: str) -> str:
    """The dtype of the loss of logits of this one."""
    try:
        return str(conventions.called(evidence, (4,), DTYPES[dtype]).dtype)
    except PortError:
        return "error"


def main() -> int:
    job = json.load(sys.stdin)
    # What packages print when they are imported is not part of the answer.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            found = facts(Adapter(**job["adapter"]), tuple(job["layers"] or LAYERS))
        except (Exception, SystemExit) as error:
            found = {"reason": first_line(error)}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())

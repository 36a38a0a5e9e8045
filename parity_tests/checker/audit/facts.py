"""The facts about one implementation, found in a process of its own, where it may do what it likes.

    python -m parity_tests.checker.audit.facts < job.json

The job is an adapter and the layers of `check` to judge; the last line of the output is the facts
as JSON.
"""

import contextlib
import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from parity_tests.checker.diagnosis.evidence import Evidence
from parity_tests.checker.layers import grades
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import Report, layer, layers_of
from parity_tests.checker.layers.judge import Row
from parity_tests.contract.family_records import EVERY, FAMILY
from parity_tests.contract.tolerances import DTYPES, SMALLEST_NORMAL
from parity_tests.ports.contain import first_line
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import GRADIENT, VALUE, PortError

from . import conventions
from .family_facts import facts as family_facts
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
    if not adapter.shapes:
        layers = tuple(name for name in layers if name != "shapes")
    rows = {name: layer(port, port.plan, name) for name in layers}
    asked = family_facts if port.plan.record.name in FAMILY else _focal_facts
    return {
        "layers": {name: row.status for name, row in rows.items()},
        "grade": _grade(Report(port.title, port.plan, tuple(rows.values()))),
        "value": _worst(rows.get("values")),
        "gradient": _worst(rows.get("gradients")),
        **asked(evidence),
        "column": conventions.column(evidence) if adapter.shapes else "",
    }


def _focal_facts(evidence: Evidence) -> dict[str, Any]:
    dtypes = {dtype: _dtype(evidence, dtype) for dtype in ("float64", "bfloat16")}
    return {
        **_easy(evidence),
        "hard_off": _hard(evidence),
        "nan_easy": _nan(evidence, 1),
        "nan_hard": _nan(evidence, -1),
        "infinite": [_infinite(evidence, 1), _infinite(evidence, -1)],
        "dtypes": dtypes,
        "alpha": conventions.alpha(evidence),
        "soft": conventions.soft_targets(evidence),
    }


def _grade(report: Report) -> str | None:
    """None unless all layers are judged. Shapes that do not reach the implementation keep it from
    the grade that asks for them."""
    judged = {row.layer for row in report.rows}
    missing = {*layers_of(report.plan.record)} - judged
    if missing - {"shapes"}:
        return None
    of_shapes = grades.below(grades.OF_LAYER["shapes"])
    if missing and grades.reaches(report.grade, of_shapes):
        return of_shapes
    return report.grade


def _worst(row: Row | None) -> dict[str, Any] | None:
    """Errors of infinitely many eps are told by what was returned."""
    if row is None or row.error is None or row.point is None:
        return None
    eps = row.error if np.isfinite(row.error) else None
    place = {key: row.point[key] for key in ("logits", "targets")}
    return {"eps": eps, "got": row.got, "gamma": _power(row.point), **place}


def _power(at: Mapping[str, Any]) -> float:
    """The γ of a point; of an asymmetric loss that of its class."""
    own = "gamma_positive" if at["targets"] else "gamma_negative"
    return at["gamma"] if "gamma" in at else at[own]


def _climb(
    evidence: Evidence, side: int, gamma: float, order: int = VALUE, target: int = 1
) -> np.ndarray | None:
    """The loss or slope of a class at growing margins, to its side or against it."""
    classes = evidence.plan.record.classes
    margins = side * MARGINS
    ids = [target] * len(margins)
    if classes:
        points = np.zeros((len(margins), 2))
        points[:, target] = margins
    else:
        points = margins if target else -margins
    answer = evidence.ask(points, ids, gamma, evidence.alpha, order)
    if answer is None or not classes or order == VALUE:
        return answer
    return answer[:, target]


def _truth(evidence: Evidence, margins: np.ndarray, gamma: float) -> np.ndarray:
    """In float64, where none of its terms cancels."""
    if evidence.plan.convention("form") == "FL*":
        return np.logaddexp(0, -gamma * margins) / gamma
    modulator = np.exp(-gamma * np.logaddexp(0, margins))
    return modulator * np.logaddexp(0, -margins)


def _factor(evidence: Evidence, losses: np.ndarray | None, truth: np.ndarray) -> float | None:
    """The factor α of some losses, if the first of them have one."""
    if losses is None:
        return None
    factors = losses[RUNGS] / truth[RUNGS]
    mean = np.mean(factors)
    is_constant = np.ptp(factors) <= 10 * evidence.near * mean
    return float(mean) if is_constant else None


def _off(evidence: Evidence, losses: np.ndarray | None, truth: np.ndarray) -> np.ndarray | None:
    """Where losses without their factor are far from the truth; None if they have no factor."""
    factor = _factor(evidence, losses, truth)
    if losses is None or factor is None:
        return None
    error = np.abs(losses / factor - truth)
    # NaN is off as well.
    return ~(error <= OFF * truth)


def _is_zero(losses: np.ndarray | None) -> np.ndarray | None:
    return None if losses is None else losses == 0


def _first(wrong: np.ndarray | None, where: np.ndarray | bool = True) -> float | None:
    """The smallest margin at which something is wrong; None also if nothing is known."""
    if wrong is None or not np.any(wrong & where):
        return None
    return float(MARGINS[np.argmax(wrong & where)])


def _easy(evidence: Evidence) -> dict[str, Any]:
    """Where examples of class 1 and class 0 that are learned have no loss, although it is a normal
    number."""
    gamma = conventions.usual_gamma(evidence)
    truth = _truth(evidence, MARGINS, gamma)
    normal = truth > 4 * SMALLEST_NORMAL[evidence.plan.dtype]
    easy: dict[str, Any] = {"focal": True, "easy_zero": [], "easy_off": []}
    for target in (1, 0):
        losses = _climb(evidence, 1, gamma, target=target)
        off = _off(evidence, losses, truth)
        easy["focal"] = easy["focal"] and off is not None
        easy["easy_zero"].append(_first(_is_zero(losses), normal))
        easy["easy_off"].append(_first(off, normal))
    return easy


def _hard(evidence: Evidence) -> float | None:
    """Where an example that is missed no longer has its loss."""
    gamma = conventions.usual_gamma(evidence)
    truth = _truth(evidence, -MARGINS, gamma)
    losses = _climb(evidence, -1, gamma)
    return _first(_off(evidence, losses, truth))


def _nan(evidence: Evidence, side: int) -> float | None:
    if 0.5 not in evidence.gammas:
        return None
    slopes = _climb(evidence, side, 0.5, GRADIENT)
    if slopes is None:
        return None
    return _first(~np.isfinite(slopes))


def _infinite(evidence: Evidence, side: int) -> list[str]:
    """Loss and gradient of class 1 at an infinite margin, without their factor α."""
    if evidence.plan.record.of_logits:
        # An infinite feature times the 0 of an identity kernel is NaN.
        return ["–"]
    gamma = conventions.usual_gamma(evidence)
    infinity = side * np.inf
    row: Any = [[0.0, infinity]] if evidence.plan.record.classes else [infinity]
    losses = _climb(evidence, 1, gamma)
    factor = _factor(evidence, losses, _truth(evidence, MARGINS, gamma))
    if factor is None:
        factor = 1.0
    texts = []
    for order in (VALUE, GRADIENT):
        answer = evidence.ask(row, [1], gamma, evidence.alpha, order)
        if answer is None:
            texts.append("error")
            continue
        # −0.0 is shown as 0.
        number = answer.ravel()[-1] / factor + 0.0
        texts.append(f"{number:.4g}")
    return texts


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
            adapter = Adapter(**job["adapter"])
            answer = facts(adapter, tuple(job["layers"] or layers_of(EVERY[adapter.function])))
        except (Exception, SystemExit) as error:
            answer = {"reason": first_line(error)}
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())

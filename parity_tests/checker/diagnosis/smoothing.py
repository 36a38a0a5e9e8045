"""Which formula a port has for label smoothing, if not the mean of the target and 1/C."""

from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.checker.layers.batch import SMOOTHING, ask, call_of
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import PortError

from . import messages, soft
from .evidence import Diagnosis, Evidence
from .softmax import Row, focal

Real = Any  # an mpf; mpmath has no types
Formula = Callable[[Row, int, float], Real]

RIGHT = "smoothing"


def smoothed(count: int, t: int, own: float, others: float) -> tuple[float, ...]:
    return tuple(own if c == t else others for c in range(count))


def with_targets(own: Callable[[int], float], others: Callable[[int], float]) -> Formula:
    """The right loss with these targets, of the number of classes."""

    def formula(row: Row, t: int, gamma: float) -> Real:
        count = len(row)
        return soft.mixture(row, smoothed(count, t, own(count), others(count)), gamma)

    return formula


def usual(row: Row, t: int) -> tuple[float, ...]:
    share = SMOOTHING / len(row)
    return smoothed(len(row), t, 1 - SMOOTHING + share, share)


def of_target(row: Row, t: int, gamma: float) -> Real:
    """p_t is that of the target, and the cross entropy alone is smoothed."""
    p_t = mpmath.exp(-focal(row, t, 0))
    return (1 - p_t) ** gamma * soft.mixture(row, usual(row, t), 0)


def uniform_part(row: Row, t: int, gamma: float) -> Real:
    uniform = mpmath.fsum(focal(row, c, 0) for c in range(len(row))) / len(row)
    return (1 - mpf(SMOOTHING)) * focal(row, t, gamma) + mpf(SMOOTHING) * uniform


FORMULAS: dict[str, Formula] = {
    RIGHT: lambda row, t, g: soft.mixture(row, usual(row, t), g),
    "smoothing_of_others": with_targets(
        lambda count: 1 - SMOOTHING, lambda count: SMOOTHING / (count - 1)
    ),
    "smoothing_lost": with_targets(lambda count: 1 - SMOOTHING, lambda count: SMOOTHING / count),
    "smoothing_undivided": with_targets(lambda count: 1.0, lambda count: SMOOTHING),
    "smoothing_of_two": with_targets(lambda count: 1 - SMOOTHING / 2, lambda count: SMOOTHING / 2),
    "smoothing_of_target": of_target,
    "smoothing_of_p_t": lambda row, t, g: soft.of_cross_entropy(row, usual(row, t), g),
    "smoothing_interpolated": lambda row, t, g: soft.interpolated(row, usual(row, t), g),
    "smoothing_uniform": uniform_part,
}


def diagnose(evidence: Evidence, port: PythonPort) -> Iterator[Diagnosis]:
    is_fixed = "label_smoothing" in evidence.plan.fixed
    if is_fixed or not port.takes("label_smoothing") or evidence.alpha is not None:
        return
    call = call_of(evidence.plan)
    ids = call.problem.ids
    assert ids is not None
    try:
        plain = ask(port, call)
        losses = ask(port, call, label_smoothing=SMOOTHING)
    except PortError:
        return
    if np.array_equal(plain, losses):
        yield Diagnosis("label_smoothing_ignored", "your label_smoothing has no effect")
        return
    rows = [tuple(row) for row in call.problem.points.tolist()]
    points = list(zip(rows, ids.tolist(), strict=True))
    if not evidence.agrees(plain.astype(float), _expected(focal, points, call.gamma)):
        return
    for name, formula in FORMULAS.items():
        if evidence.agrees(losses.astype(float), _expected(formula, points, call.gamma)):
            if name != RIGHT:
                yield Diagnosis(name, messages.SMOOTHING[name])
            return
    yield Diagnosis("smoothing_unknown", "your label_smoothing follows none of the known formulas")


def _expected(formula: Formula, points: list[tuple[Row, int]], gamma: float) -> list[float]:
    with mpmath.workdps(20):
        return [float(formula(row, t, gamma)) for row, t in points]

"""Grades: how good a port is, and the first number that keeps it from the next one.

They are cumulative. A number keeps a port from a grade by how wrong it is and where: what a
textbook formula loses by rounding at ordinary logits keeps it from "exact" alone.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.tolerances import EPS

SAME, SAFE, EXACT, COMPLETE = "same", "safe", "exact", "complete"
GRADES: dict[str, str] = {
    SAME: (
        "it is this function, with its conventions: losses, gradients and options at ordinary "
        "logits are as right as an honest textbook formula in that dtype has them"
    ),
    SAFE: (
        "nothing is NaN, infinite, or lost by more than half where the dtype holds the truth, for "
        "logits to ±10⁴ and every γ ≥ 0; what masks leave out is exactly 0"
    ),
    EXACT: "every loss and derivative is within the table of tolerances",
    COMPLETE: (
        "infinite logits, shapes, soft targets, derivatives in other arguments, several γ and "
        "other dtypes are right as well, and every layer is offered"
    ),
}
NONE = ""
ORDER = (NONE, *GRADES)

# The first grade that anything wrong in a layer keeps from; the others go by the number.
OF_LAYER = {
    "second order": EXACT,
    "identities": EXACT,
    "soft targets": COMPLETE,
    "special values": COMPLETE,
    "arguments": COMPLETE,
    "shapes": COMPLETE,
    "dtypes": COMPLETE,
}
# Logits that are no further apart are ordinary ones: of half precision 1 − p_t has nothing left
# beyond.
ORDINARY = {"float64": 6.0, "float32": 6.0, "float16": 3.0, "bfloat16": 2.0}
# In these layers a number stands for a batch whose logits are no further apart than this.
TOGETHER = {
    "options": 8.0,
    "backward": 8.0,
    "transformations": 8.0,
    "kernel and bias": 8.0,
    "neighbours": 8.0,
}
# 1 − p_t as a difference has a rounding of 1, which is exp(u) of it, and a power and a derivative
# multiply it by at most γ + 1; each of the other operations adds one.
ROUNDINGS = 8.0
# More than this part of a number is no rounding of an ordinary one.
LOST = 0.5


class Wrong(NamedTuple):
    """A number that is wrong; its error and what is allowed in eps."""

    error: float
    allowed: float
    got: float | str
    point: Mapping[str, Any]


def kept_from(layer: str, wrong: Wrong, dtype: str) -> str:
    """The first grade that a wrong number keeps a port from."""
    if layer in OF_LAYER:
        return OF_LAYER[layer]
    if wrong.point.get("dtype", dtype) != dtype:
        # The other dtypes are what the last grade adds.
        return COMPLETE
    if isinstance(wrong.got, str):
        return SAME
    is_lost = not wrong.error * EPS[dtype] <= LOST
    # It has to be exactly 0, or the mask does not keep a NaN out.
    if not wrong.allowed or (layer in TOGETHER and not math.isfinite(wrong.error)):
        return SAFE
    spread = _spread(wrong.point)
    is_ordinary = spread <= ORDINARY[dtype] or layer in TOGETHER
    if is_ordinary and wrong.error > _textbook(wrong.point, TOGETHER.get(layer, spread), dtype):
        return SAME
    return SAFE if is_lost else EXACT


def of_error(layer: str) -> str:
    """The grade that an error of the port keeps it from."""
    return OF_LAYER.get(layer, SAME)


def below(grade: str) -> str:
    """The grade that is left to a port that is kept from this one."""
    return ORDER[ORDER.index(grade) - 1]


def shown(grade: str) -> str:
    """A grade in a table, where "" would say nothing."""
    return grade or f"below {SAME}"


def reaches(grade: str, bar: str) -> bool:
    return ORDER.index(grade) >= ORDER.index(bar)


def _spread(point: Mapping[str, Any]) -> float:
    """How far the logits of a sample are from each other, or that of a sigmoid from 0."""
    logits = np.atleast_1d(np.asarray(point.get("logits", math.inf), float))
    if not np.isfinite(logits).all():
        return math.inf
    numbers = logits.tolist()
    if len(numbers) == 1:
        return abs(numbers[0])
    return max(numbers) - min(numbers)


def _textbook(point: Mapping[str, Any], spread: float, dtype: str) -> float:
    """What a textbook formula may lose there, in eps."""
    gamma = float(np.max(point.get("gamma", 2.0)))
    rounding = ROUNDINGS * (1 + gamma) * math.exp(spread)
    return min(rounding, LOST / EPS[dtype])

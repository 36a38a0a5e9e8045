"""Comparators. They raise with the worst point; none returns a verdict that a test could forget to look at."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import mpmath
from mpmath import mpf

from .jets import Term
from .tolerances import EPS


class Entry(NamedTuple):
    """One number of a result: what was computed, the truth, how much is allowed, and how to say where it stands."""

    got: float
    truth: Term
    allowed: float
    floor: float
    point: str


def error_in_eps(got: float, truth: Term, dtype: str, floor: float) -> float:
    """|got − truth| in units of eps·scale, less the `floor` that flushing to 0 may take."""
    if not mpmath.isfinite(got):
        return 0.0 if mpf(got) == truth.value else float("inf")
    error = abs(mpf(got) - truth.value) - floor
    if error <= 0:
        return 0.0
    return float(error / (EPS[dtype] * truth.scale)) if truth.scale else float("inf")


def require(entries: Iterable[Entry], dtype: str) -> float:
    """Raise unless each entry is within what it is allowed; return the worst error in eps for reports."""
    worst, count, bad, message = 0.0, 0, 0, ""
    ratio = -1.0
    for entry in entries:
        error = error_in_eps(entry.got, entry.truth, dtype, entry.floor)
        count += 1
        bad += not (error <= entry.allowed and not math.isnan(entry.got))
        worst = max(worst, error if entry.allowed < math.inf else 0.0)
        share = math.inf if math.isnan(entry.got) else error / entry.allowed
        if not share <= ratio:
            ratio = share
            message = (
                f"{error:.3g} eps of {dtype}, allowed {entry.allowed:g}: got {entry.got!r}, "
                f"truth {mpmath.nstr(entry.truth.value, 20)} (scale {mpmath.nstr(entry.truth.scale, 5)})\n"
                f"  at {entry.point}"
            )
    assert count, "nothing was compared"
    assert not bad, f"{bad} of {count} numbers are wrong; the worst has an error of {message}"
    return worst

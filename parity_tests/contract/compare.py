"""Comparators. They raise with the worst point; none returns a verdict that a test could forget to
look at."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.truth.jets import Term

from .tolerances import EPS, SMALLEST_NORMAL


class Entry(NamedTuple):
    """One number of a result: what was computed, the truth, how much is allowed, and how to say
    where it stands."""

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


class Table(NamedTuple):
    """Terms as arrays of float64: the value is high + low, which no rounding of one float64
    limits."""

    high: np.ndarray
    low: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, terms: Sequence[Sequence[Term]]) -> "Table":
        high = np.array([[float(term.value) for term in row] for row in terms])
        values = np.array([[term.value for term in row] for row in terms], dtype=object)
        scale = np.array([[float(term.scale) for term in row] for row in terms])
        return cls(high, (values - high).astype(float), scale)


def errors_in_eps(got: np.ndarray, truth: Table, dtype: str, floor: float) -> np.ndarray:
    """`error_in_eps` of every number, or NaN where float64 cannot tell."""
    with np.errstate(all="ignore"):
        error = np.abs((got - truth.high) - truth.low) - floor
        errors = error / (EPS[dtype] * truth.scale)
    known = np.isfinite(got) & (EPS[dtype] * truth.scale > SMALLEST_NORMAL["float64"])
    return np.where(error <= 0, 0.0, np.where(known, errors, np.nan))


def require(entries: Iterable[Entry], dtype: str, passed: int = 0) -> float:
    """Raise unless each entry is within what it is allowed; return the worst error in eps for
    reports.

    `passed` is the number of those that were compared before and are within it.
    """
    worst, count, bad, message = 0.0, passed, 0, ""
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

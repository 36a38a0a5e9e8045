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
    if not truth.scale:
        return float("inf")
    return float(error / (EPS[dtype] * truth.scale))


class Table(NamedTuple):
    """Terms as arrays of float64: the value is high + low, which no rounding of one float64
    limits."""

    high: np.ndarray
    low: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, terms: Sequence[Sequence[Term]]) -> "Table":
        # The last axis has the value and the scale of a term.
        numbers = np.array(terms, dtype=object)
        values = numbers[..., 0]
        high = values.astype(float)
        low = (values - high).astype(float)
        return cls(high, low, numbers[..., 1].astype(float))

    def columns(self, chosen: Sequence[int]) -> "Table":
        return Table(*(part[:, chosen] for part in self))


def errors_in_eps(got: np.ndarray, truth: Table, dtype: str, floor: float) -> np.ndarray:
    """`error_in_eps` of every number, or NaN where float64 cannot tell."""
    with np.errstate(all="ignore"):
        unit = EPS[dtype] * truth.scale
        error = np.abs((got - truth.high) - truth.low) - floor
        errors = error / unit
    known = np.isfinite(got) & (unit > SMALLEST_NORMAL["float64"])
    errors = np.where(known, errors, np.nan)
    return np.where(error <= 0, 0.0, errors)


def require(entries: Iterable[Entry], dtype: str, passed: int = 0) -> float:
    """Raise unless each entry is within what it is allowed; return the worst error in eps for
    reports.

    `passed` is the number of those that were compared before and are within it.
    """
    worst, ratio, message = 0.0, -1.0, ""
    count, wrong = passed, 0
    for entry in entries:
        count += 1
        error = error_in_eps(entry.got, entry.truth, dtype, entry.floor)
        # NaN is wrong even where every other number is allowed.
        is_nan = math.isnan(entry.got)
        share = math.inf if is_nan else error / entry.allowed
        if is_nan or not error <= entry.allowed:
            wrong += 1
        if entry.allowed < math.inf:
            worst = max(worst, error)
        if not share <= ratio:
            ratio = share
            message = _sentence(entry, error, dtype)
    assert count, "nothing was compared"
    assert not wrong, f"{wrong} of {count} numbers are wrong; the worst has an error of {message}"
    return worst


def _sentence(entry: Entry, error: float, dtype: str) -> str:
    truth = mpmath.nstr(entry.truth.value, 20)
    scale = mpmath.nstr(entry.truth.scale, 5)
    return (
        f"{error:.3g} eps of {dtype}, allowed {entry.allowed:g}: got {entry.got!r}, "
        f"truth {truth} (scale {scale})\n"
        f"  at {entry.point}"
    )

"""The values that an argument may have."""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from jax import Array

# A float, or an array of numpy or of the framework.
Value: TypeAlias = float | np.ndarray | Array
Truth: TypeAlias = bool | np.ndarray | Array


class Range(NamedTuple):
    """Values that an argument may have. Of an interval it is enough to test the least and the
    greatest."""

    text: str
    contains: Callable[[Value], Truth]
    interval: bool = True


UNIT = Range("in [0, 1]", lambda x: (x >= 0) & (x <= 1))
OPEN_UNIT = Range("in (0, 1)", lambda x: (x > 0) & (x < 1))
NOT_ZERO_UNIT = Range("in (0, 1]", lambda x: (x > 0) & (x <= 1))
NONNEGATIVE = Range("finite and at least 0", lambda x: (x >= 0) & (x < math.inf))
FINITE = Range("finite", lambda x: (x > -math.inf) & (x < math.inf))
POSITIVE = Range("finite and greater than 0", lambda x: (x > 0) & (x < math.inf))
ZERO_OR_ONE = Range("0 or 1", lambda x: (x == 0) | (x == 1), interval=False)


def _is_shift(x: Value) -> Truth:
    # A smaller one would underflow, and with it 1 − p + shift of a large logit.
    large = (x >= 1e-30) & (x < 1)
    return large | (x == 0)


SHIFTS = Range("that is 0 or in [1e-30, 1)", _is_shift, interval=False)


def ids_of(classes: int) -> Range:
    """The ids of so many classes."""
    return Range(f"in [0, {classes})", lambda x: (x >= 0) & (x < classes))


def bins_of(classes: int) -> Range:
    """Numbers from the first bin, 0, to the last of so many."""
    return Range(f"in [0, {classes - 1}]", lambda x: (x >= 0) & (x <= classes - 1))

"""The comparator has to raise: for one wrong digit, for NaN, for a wrong infinity, and for nothing compared at all."""

import math

import pytest
from mpmath import mpf

from .compare import Entry, require
from .jets import Term
from .tolerances import EPS, SMALLEST_NORMAL

TINY = SMALLEST_NORMAL["float32"]


def entry(got: float, truth: float, allowed: float = 4.0, scale: float | None = None) -> Entry:
    return Entry(got, Term(mpf(truth), mpf(abs(truth) if scale is None else scale)), allowed, TINY, "here")


@pytest.mark.parametrize("truth", [1.0, -3.0, 1e-20, 1e30])
def test_errors_are_counted_in_eps(truth: float) -> None:
    assert require([entry(truth, truth)], "float32") == 0
    assert abs(require([entry(truth * (1 + 3 * EPS["float32"]), truth)], "float32") - 3) < 1e-6
    with pytest.raises(
        AssertionError, match=r"1 of 2 numbers are wrong; the worst has an error of 5 eps(.|\n)*at here"
    ):
        require([entry(truth, truth), entry(truth * (1 + 5 * EPS["float32"]), truth)], "float32")


@pytest.mark.parametrize("got", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_nonsense_is_wrong(got: float) -> None:
    with pytest.raises(AssertionError, match="1 of 1 numbers are wrong"):
        require([entry(got, 1.0)], "float32")


def test_nan_is_wrong_even_where_anything_is_allowed() -> None:
    require([entry(7.0, 1.0, allowed=math.inf)], "float32")
    with pytest.raises(AssertionError, match="got nan"):
        require([entry(math.nan, 1.0, allowed=math.inf)], "float32")


def test_infinities_have_a_sign() -> None:
    require([entry(math.inf, math.inf)], "float32")
    with pytest.raises(AssertionError, match="got -inf"):
        require([entry(-math.inf, math.inf)], "float32")


def test_small_losses_are_not_swallowed() -> None:
    """A loss of 10⁻³⁰ that comes back as 0 is wrong; below the smallest normal number it is not."""
    with pytest.raises(AssertionError, match="got 0"):
        require([entry(0.0, 1e-30)], "float32")
    require([entry(0.0, TINY / 2)], "float32")


def test_a_sum_is_measured_by_its_terms() -> None:
    require([entry(1.0 + 50 * EPS["float32"], 1.0, scale=100.0)], "float32")


def test_nothing_compared_is_an_error() -> None:
    with pytest.raises(AssertionError, match="nothing was compared"):
        require([], "float32")

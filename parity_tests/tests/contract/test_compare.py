"""The comparator has to raise: for one wrong digit, for NaN, for a wrong infinity, and for nothing
compared at all."""

import math

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from parity_tests.contract.compare import Entry, Table, error_in_eps, errors_in_eps, require
from parity_tests.contract.exact import Draws
from parity_tests.contract.examine import Solved, examine
from parity_tests.contract.port import Loss
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import EPS, SMALLEST_NORMAL
from parity_tests.ports.packages import JaxPort
from parity_tests.tests.parametrize import slow
from parity_tests.truth.jets import Jet, Term

TINY, TINY_64 = SMALLEST_NORMAL["float32"], SMALLEST_NORMAL["float64"]


def entry(got: float, truth: float, allowed: float = 4.0, scale: float | None = None) -> Entry:
    if scale is None:
        scale = abs(truth)
    return Entry(got, Term(mpf(truth), mpf(scale)), allowed, TINY, "here")


def off_by(truth: float, eps: float) -> Entry:
    return entry(truth * (1 + eps * EPS["float32"]), truth)


@pytest.mark.parametrize("truth", [1.0, -3.0, 1e-20, 1e30])
def test_errors_are_counted_in_eps(truth: float) -> None:
    assert require([entry(truth, truth)], "float32") == 0
    assert require([off_by(truth, 3)], "float32") == pytest.approx(3, abs=1e-6)
    message = r"1 of 2 numbers are wrong; the worst has an error of 5 eps(.|\n)*at here"
    with pytest.raises(AssertionError, match=message):
        require([entry(truth, truth), off_by(truth, 5)], "float32")


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_have_the_errors_of_their_numbers(dtype: str) -> None:
    """At every exponent of the dtype, beside truths that no float64 holds and scales above them."""
    draws, floor = Draws(0), SMALLEST_NORMAL[dtype]
    exponents = np.arange(int(np.log2(floor)) - 20, 120)
    answers = np.ldexp(1 + draws.uniform(shape=len(exponents)), exponents)
    units = draws.integers(-8, 9, len(answers)) / 2
    terms: list[Term] = []
    for i, (answer, unit) in enumerate(zip(answers.tolist(), units.tolist(), strict=True)):
        # Some halves of a unit away, and a little that no float64 holds.
        error = mpf(unit * EPS[dtype]) - mpf(2) ** -70
        truth = mpf(answer) * (1 - error)
        terms.append(Term(truth, abs(truth) * (1 + i % 3)))
    table = Table.of([[term] for term in terms])
    errors = errors_in_eps(answers[:, None], table, dtype, floor)[:, 0]
    for answer, term, error in zip(answers.tolist(), terms, errors.tolist(), strict=True):
        expected = error_in_eps(answer, term, dtype, floor)
        if math.isnan(error):
            assert EPS[dtype] * term.scale <= TINY_64, (answer, term)
        else:
            assert error == pytest.approx(expected, rel=1e-6, abs=0), (answer, term)


@pytest.mark.parametrize("got", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_known_to_arrays(got: float) -> None:
    for truth in (1.0, math.inf):
        table = Table.of([[Term(mpf(truth), mpf(truth))]])
        error = errors_in_eps(np.array([[got]]), table, "float32", TINY)
        assert math.isnan(error[0, 0])


class OffAt(JaxPort):
    """A right port, but for one of its numbers, which is off by so many eps."""

    def __init__(self, row: int, index: tuple[int, ...], eps: float) -> None:
        super().__init__()
        self.at = (row, *index)
        self.factor = 1 + eps * EPS["float64"]

    def per_sample(
        self, loss: Loss, order: int, points: np.ndarray, ids: np.ndarray | None
    ) -> np.ndarray:
        answers = super().per_sample(loss, order, points, ids)
        changed = np.array(answers)
        changed[self.at] *= self.factor
        return changed


GAMMA = 1.5
POINTS = np.array([[z, y, GAMMA] for z in (-3.0, 0.5, 2.0) for y in (0.25, 0.75)])
NAMES = ("logits", "targets", "gamma")
SOLVED = Solved.of(Problem("sigmoid_focal_loss", "float64", NAMES, POINTS))


@pytest.mark.parametrize(("order", "index"), [(0, ()), (1, (2,)), (2, (0, 1)), (2, (1, 0))])
@pytest.mark.parametrize("row", [0, slow(5)])
def test_one_wrong_number_of_many_is_found(row: int, order: int, index: tuple[int, ...]) -> None:
    examine(SOLVED, OffAt(row, index, 0.0), order)
    count = len(POINTS) * 3**order
    with pytest.raises(AssertionError, match=f"1 of {count} numbers are wrong"):
        examine(SOLVED, OffAt(row, index, 40.0), order)


@pytest.mark.parametrize("share", [0.5, 0.9995, 1.0005])
def test_what_is_close_to_its_limit_is_counted_in_arbitrary_precision(share: float) -> None:
    """The truth is moved, so that the error of the same answer is this share of what is allowed."""
    port, problem = OffAt(0, (), 0.0), SOLVED.problem
    answer = float(problem.answers(port, 0)[0])
    scale = SOLVED.truths[0][()].scale
    limit = problem.limit(0, ())
    with mpmath.workdps(50):
        error = mpf(share) * limit * EPS["float64"] * scale + TINY_64
        moved = Term(mpf(answer) - error, scale)
    solved = Solved(problem, [Jet({(): moved}), *SOLVED.truths[1:]])
    if share < 1:
        worst = examine(solved, port, 0)
        assert worst == pytest.approx(share * limit, rel=1e-6)
    else:
        with pytest.raises(AssertionError, match=f"1 of {len(POINTS)} numbers are wrong"):
            examine(solved, port, 0)


def test_an_answer_of_another_shape_is_refused() -> None:
    class Flat(JaxPort):
        def per_sample(
            self, loss: Loss, order: int, points: np.ndarray, ids: np.ndarray | None
        ) -> np.ndarray:
            answers = super().per_sample(loss, order, points, ids)
            return answers.reshape(-1)

    with pytest.raises(AssertionError, match="an answer of shape"):
        examine(SOLVED, Flat(), 1)

"""Grids, samples and seeded inputs that have the same bits on every processor.

exp, log and powers differ in their last bit between instruction sets and libraries, and with them
all that is made of them. Here is only what IEEE 754 rounds to the nearest number, an operation at a
time: integers, their quotients by powers of two, and functions from mpmath, rounded once. The bits
are those of PCG64, which numpy promises to keep (NEP 19), as it does not for its Generator.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, reduce
from typing import Any

import mpmath
import numpy as np

DIGITS = 50
# Of a float64.
MANTISSA = 53
# As many numbers from 0 to 1, less half their number, have variance 1 and mean 0.
SUMMANDS = 12

Shape = int | tuple[int, ...]
Numbers = np.ndarray | Sequence[Any] | float


class Draws:
    """Random numbers of one seed, in the order in which they are asked for.

    A tuple has other bits than each of its numbers, but where all after the first are 0.
    """

    def __init__(self, seed: int | tuple[int, ...]) -> None:
        self._source = np.random.PCG64(seed)

    def bits(self, shape: Shape = ()) -> np.ndarray:
        count = math.prod(shape) if isinstance(shape, tuple) else shape
        return self._source.random_raw(count).reshape(shape)

    def integers(self, low: int, high: int, shape: Shape = ()) -> np.ndarray:
        """From low to high − 1. Small ones are likelier, by less than (high − low)/2⁶⁴."""
        above = self.bits(shape) % np.uint64(high - low)
        return low + above.astype(np.int64)

    def uniform(self, low: float = 0.0, high: float = 1.0, shape: Shape = ()) -> np.ndarray:
        """Multiples of the smallest power of two that a float64 as large as the ends can have."""
        largest = max(abs(low), abs(high))
        _, exponent = math.frexp(largest)
        spare = MANTISSA - exponent
        first = math.ceil(math.ldexp(low, spare))
        last = math.ceil(math.ldexp(high, spare))
        whole = self.integers(first, last, shape).astype(np.float64)
        return np.ldexp(whole, -spare)

    def bell(self, shape: Shape = ()) -> np.ndarray:
        """Nearly a normal distribution, with mean 0 and variance 1: an exact sum, within ±6."""
        # The sum of twelve numbers of this many bits fits into a float64.
        width = MANTISSA - 4
        axes = shape if isinstance(shape, tuple) else (shape,)
        summands = self.integers(0, 1 << width, (*axes, SUMMANDS))
        mean = SUMMANDS // 2 << width
        centred = summands.sum(-1) - mean
        return np.ldexp(centred.astype(np.float64), -width)

    def simplex(self, rows: int, classes: int) -> np.ndarray:
        """Class probabilities, all equally likely: gaps between sorted numbers, whose sum is 1."""
        whole = 1 << MANTISSA
        drawn = self.integers(0, whole + 1, (rows, classes - 1))
        inner = np.sort(drawn, axis=1)
        gaps = np.diff(inner, axis=1, prepend=0, append=whole)
        return np.ldexp(gaps.astype(np.float64), -MANTISSA)

    def decades(self, low: float, high: float, shape: Shape = ()) -> np.ndarray:
        """Numbers of all magnitudes from 10^low to 10^high."""
        return each(decade, self.uniform(low, high, shape))

    def choice(self, values: Sequence[Any], shape: Shape = ()) -> np.ndarray:
        places = self.integers(0, len(values), shape)
        return np.array(values)[places]

    def permutation(self, count: int) -> np.ndarray:
        return np.argsort(self.bits(count), kind="stable")


def each(function: Callable[[float], float], points: Numbers) -> np.ndarray:
    """The function of each number, in an array of the same shape."""
    points = np.asarray(points, np.float64)
    values = [function(x) for x in points.ravel().tolist()]
    return np.array(values).reshape(points.shape)


@cache
def decade(exponent: float) -> float:
    """10^exponent, rounded once."""
    with mpmath.workdps(DIGITS):
        return float(mpmath.power(10, exponent))


@cache
def sigmoid(z: float) -> float:
    """1 / (1 + exp(−z)), rounded once."""
    with mpmath.workdps(DIGITS):
        return float(1 / (1 + mpmath.exp(-mpmath.mpf(z))))


@cache
def log(x: float) -> float:
    """The natural logarithm, rounded once."""
    with mpmath.workdps(DIGITS):
        return float(mpmath.log(x))


@cache
def log_sum_exp(row: tuple[float, ...]) -> float:
    with mpmath.workdps(DIGITS):
        exponentials = [mpmath.exp(x) for x in row]
        return float(mpmath.log(mpmath.fsum(exponentials)))


def total(whole: np.ndarray, axis: int | None = None) -> np.ndarray:
    """The sum of whole numbers, which has no order."""
    if whole.dtype.kind not in "biu":
        raise TypeError(f"exact: total(whole=...) expected integers, got {whole.dtype}.")
    return whole.sum(axis)


def product(*matrices: np.ndarray) -> np.ndarray:
    """Of matrices of integers, as fast as that of floats, whose sums have no order up to 2⁵³."""
    largest = 1
    for matrix in matrices:
        largest *= int(abs(matrix).max())
    # A sum of a product has as many terms as the matrix on its left has columns.
    for matrix in matrices[:-1]:
        largest *= matrix.shape[1]
    dtypes = [matrix.dtype for matrix in matrices]
    are_integers = all(dtype.kind in "iu" for dtype in dtypes)
    if largest > 1 << MANTISSA or not are_integers:
        names = [dtype.name for dtype in dtypes]
        raise ValueError(
            f"exact: product(*matrices) expected integers and sums to 2^{MANTISSA}, "
            f"got {names} and sums to {largest}."
        )
    floats = [matrix.astype(np.float64) for matrix in matrices]
    return reduce(np.matmul, floats).astype(np.int64)


def sigmoids(points: Numbers) -> np.ndarray:
    return each(sigmoid, points)


def spaced(low: float, high: float, count: int) -> np.ndarray:
    """`count` numbers from low to high at one distance, each rounded once."""
    start = Fraction(low)
    step = (Fraction(high) - start) / (count - 1)
    return np.array([float(start + i * step) for i in range(count)])


def magnitudes(low: float, high: float, count: int) -> np.ndarray:
    """`count` numbers from 10^low to 10^high at one ratio."""
    return each(decade, spaced(low, high, count))

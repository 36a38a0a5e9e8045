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
        return low + (self.bits(shape) % np.uint64(high - low)).astype(np.int64)

    def uniform(self, low: float = 0.0, high: float = 1.0, shape: Shape = ()) -> np.ndarray:
        """Multiples of the smallest power of two that a float64 as large as the ends can have."""
        spare = MANTISSA - math.frexp(max(abs(low), abs(high)))[1]
        first, last = (math.ceil(math.ldexp(end, spare)) for end in (low, high))
        return np.ldexp(self.integers(first, last, shape).astype(np.float64), -spare)

    def bell(self, shape: Shape = ()) -> np.ndarray:
        """Nearly a normal distribution, with mean 0 and variance 1: an exact sum, within ±6."""
        shape, width = (shape if isinstance(shape, tuple) else (shape,)), MANTISSA - 4
        total = self.integers(0, 1 << width, (*shape, SUMMANDS)).sum(-1) - (SUMMANDS // 2 << width)
        return np.ldexp(total.astype(np.float64), -width)

    def simplex(self, rows: int, classes: int) -> np.ndarray:
        """Class probabilities, all equally likely: gaps between sorted numbers, whose sum is 1."""
        whole = 1 << MANTISSA
        inner = np.sort(self.integers(0, whole + 1, (rows, classes - 1)), axis=1)
        gaps = np.diff(inner, axis=1, prepend=0, append=whole)
        return np.ldexp(gaps.astype(np.float64), -MANTISSA)

    def decades(self, low: float, high: float, shape: Shape = ()) -> np.ndarray:
        """Numbers of all magnitudes from 10^low to 10^high."""
        return each(decade, self.uniform(low, high, shape))

    def choice(self, values: Sequence[Any], shape: Shape = ()) -> np.ndarray:
        return np.array(values)[self.integers(0, len(values), shape)]

    def permutation(self, count: int) -> np.ndarray:
        return np.argsort(self.bits(count), kind="stable")


def each(function: Callable[[float], float], points: Any) -> np.ndarray:
    """The function of each number, in an array of the same shape."""
    points = np.asarray(points, np.float64)
    return np.array([function(x) for x in points.ravel().tolist()]).reshape(points.shape)


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
        return float(mpmath.log(mpmath.fsum(mpmath.exp(x) for x in row)))


def total(whole: np.ndarray, axis: int | None = None) -> np.ndarray:
    """The sum of whole numbers, which has no order."""
    if whole.dtype.kind not in "biu":
        raise TypeError(f"exact: total(whole=...) expected integers, got {whole.dtype}.")
    return whole.sum(axis)


def product(*matrices: np.ndarray) -> np.ndarray:
    """Of matrices of integers, as fast as that of floats, whose sums have no order up to 2⁵³."""
    inner = math.prod(matrix.shape[1] for matrix in matrices[:-1])
    largest = math.prod(int(abs(matrix).max()) for matrix in matrices) * inner
    if largest > 1 << MANTISSA or any(matrix.dtype.kind not in "iu" for matrix in matrices):
        raise ValueError(
            f"exact: product(*matrices) expected integers and sums to 2^{MANTISSA}, "
            f"got {[matrix.dtype.name for matrix in matrices]} and sums to {largest}."
        )
    whole = reduce(np.matmul, [matrix.astype(np.float64) for matrix in matrices])
    return whole.astype(np.int64)


def sigmoids(points: Any) -> np.ndarray:
    return each(sigmoid, points)


def spaced(low: float, high: float, count: int) -> np.ndarray:
    """`count` numbers from low to high at one distance, each rounded once."""
    start, step = Fraction(low), (Fraction(high) - Fraction(low)) / (count - 1)
    return np.array([float(start + i * step) for i in range(count)])


def magnitudes(low: float, high: float, count: int) -> np.ndarray:
    """`count` numbers from 10^low to 10^high at one ratio."""
    return each(decade, spaced(low, high, count))

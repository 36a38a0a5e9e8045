"""The derivatives of a batch from those of its rows, and what is said where a port has others."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.ports.subject import GRADIENT, SECOND, VALUE
from parity_tests.truth.jets import Jet, Term, argument_of

from .. import truth
from ..derivatives import NEAR
from ..ways import Way

# What a derivative of one row is, for each variable: (rows, variables).
Own = list[list[Term]]


def derivatives(jet: Jet, order: int, along: Mapping[str, float]) -> list[Term]:
    """The loss of a row, or its derivative in each of the variables, the second one along a
    direction."""
    if order == VALUE:
        return [jet[()]]
    if order == GRADIENT:
        return [jet[(name,)] for name in along]
    terms = dict.fromkeys(along, Term(mpf(0), mpf(0)))
    with mpmath.workdps(truth.DIGITS):
        for key in [key for key in jet if len(key) == 2]:
            a, b = key
            terms[a] = terms[a] + jet[key] * Term(mpf(along[b]), mpf(abs(along[b])))
            if a != b:
                terms[b] = terms[b] + jet[key] * Term(mpf(along[a]), mpf(abs(along[a])))
    return list(terms.values())


def sums(own: Own, way: Way, factors: np.ndarray) -> list[Term]:
    """Over the rows, each times what the call makes of it."""
    cotangents = np.broadcast_to(way.cotangent, len(own)).tolist()
    shares: list[Term] = []
    with mpmath.workdps(truth.DIGITS):
        for cotangent, factor in zip(cotangents, factors.tolist(), strict=True):
            share = mpf(cotangent) * mpf(float(factor)) / mpf(way.divisor)
            shares.append(Term(share, abs(share)))
        columns = zip(*own, strict=True)
        return [_sum(column, shares) for column in columns]


def _sum(terms: tuple[Term, ...], shares: list[Term]) -> Term:
    total = Term(mpf(0), mpf(0))
    for term, share in zip(terms, shares, strict=True):
        # A row that is left out has no part in the scale either.
        total = total + term * share
    return total


@dataclass(frozen=True)
class Reasons:
    """Why the derivatives of a call are wrong, where it is one of the known reasons."""

    way: Way
    order: int
    features: np.ndarray
    result: np.ndarray
    terms: list[Term]

    def of(self, argument: str, names: list[str]) -> str:
        way = self.way
        if self.order == VALUE:
            return f"the loss of features·kernel + bias through {way.name} is another one"
        chosen = np.array([argument_of(name) == argument for name in names])
        kind = "second derivative" if self.order == SECOND else "gradient"
        what = f"the {kind} in {argument}"
        result = self.result[chosen]
        expected = np.array([float(term.value) for term in self.terms])[chosen]
        if not np.isfinite(result).all():
            reason = ": 0 · NaN is NaN" if "where" in way.options else ""
            return f"{what} through {way.name} is not finite{reason}"
        if not result.any():
            return f"{what} through {way.name} is 0"
        if np.any(result[expected == 0]):
            return f"{what} has something of rows that {way.name} leaves out: it has to be 0 there"
        largest = np.argmax(np.abs(expected))
        ratio = float(result[largest] / expected[largest])
        if np.allclose(result, ratio * expected, rtol=NEAR):
            return _by_a_factor(what, way, ratio)
        if argument == "kernel" and self._is_of_rows_left_out(result - expected):
            return f"{what} has rows in it that {way.name} leaves out"
        return f"{what} through {way.name} is not the derivative of the right loss"

    def _is_of_rows_left_out(self, difference: np.ndarray) -> bool:
        """Whether a difference in the kernel (D, C) is made of the features that are left out."""
        rows = self.features[self.way.factors == 0]
        if not 0 < len(rows) < self.features.shape[1]:
            return False
        difference = difference.reshape(self.features.shape[1], -1)
        shares, *_ = np.linalg.lstsq(rows.T, difference)
        # This chooses a sentence for what is wrong already: its largest entry is the scale of all.
        return np.allclose(rows.T @ shares, difference, atol=NEAR * np.abs(difference).max())


def _by_a_factor(what: str, way: Way, ratio: float) -> str:
    if way.divisor != 1 and math.isclose(ratio, way.divisor, rel_tol=NEAR):
        return f"{what} of {way.name} is that of the sum: {ratio:.3g} times too large here"
    return f"{what} through {way.name} is {ratio:.4g} times what it has to be"

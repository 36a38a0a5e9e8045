"""Second-order jets in arbitrary precision: a value with all its first and second partial
derivatives.

A jet maps a sorted tuple of variable names to a `Term`: () to the value, (a,) to ∂/∂a, (a, b) to
∂²/∂a∂b. Missing entries are 0. Next to each entry it carries the scale: the same sum with the
magnitudes of its terms, which is what the rounding errors of any floating-point evaluation are
proportional to.
"""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, NamedTuple

from mpmath import mpf

Key = tuple[str, ...]
Real = Any  # an mpf; mpmath has no types


def column(argument: str, c: int) -> str:
    """The variable that is the number of class c in an argument with one number per class."""
    return f"{argument}{c}"


def argument_of(variable: str) -> str:
    """The argument that a variable belongs to: "logits" for "logits" and for "logits0"."""
    return variable.rstrip("0123456789")


class Term(NamedTuple):
    # A term adds and multiplies as a number, not as the tuple that it is to the type checker.
    value: Real
    scale: Real

    @classmethod
    def of(cls, *terms: Real) -> "Term":
        magnitudes = map(abs, terms)
        return cls(sum(terms, mpf(0)), sum(magnitudes, mpf(0)))

    def __add__(self, other: "Term") -> "Term":  # type: ignore[override]
        return Term(self.value + other.value, self.scale + other.scale)

    def __mul__(self, other: "Term") -> "Term":  # type: ignore[override]
        return Term(self.value * other.value, self.scale * other.scale)


ZERO = Term(mpf(0), mpf(0))


class Jet(dict[Key, Term]):
    """A jet is built from closed forms and combined by the product and sum rules."""

    @classmethod
    def variable(cls, name: str, value: Real) -> "Jet":
        return cls({(): Term.of(value), (name,): Term.of(mpf(1))})

    @classmethod
    def constant(cls, value: Real) -> "Jet":
        return cls({(): Term.of(value)})

    def only(self, variables: frozenset[str] | None) -> "Jet":
        """The value and the derivatives in these variables, or in all."""
        if variables is None:
            return self
        kept = [key for key in self if variables.issuperset(key)]
        return Jet({key: self[key] for key in kept})

    def __missing__(self, key: Key) -> Term:
        return ZERO

    def __add__(self, other: "Jet") -> "Jet":
        keys = self.keys() | other.keys()
        return Jet({key: self[key] + other[key] for key in keys})

    def __mul__(self, other: "Jet") -> "Jet":
        terms = Jet()
        for left, right in product(self, other):
            if len(left) + len(right) > 2:
                continue
            term = self[left] * other[right]
            if left == right != ():
                # ∂²(fg)/∂a² has the term f_a·g_a twice; for a ≠ b the two terms come from two
                # pairs of keys.
                term = term + term
            key = tuple(sorted(left + right))
            if key in terms:
                term = terms[key] + term
            terms[key] = term
        return terms


def chain(inner: Jet, first: Term, second: Term, value: Term) -> Jet:
    """g(inner) for a function g of one number with the given value and derivatives at inner's
    value."""
    outer = Jet({(): value})
    names = _variables(inner)
    for a in names:
        outer[(a,)] = first * inner[(a,)]
        for b in names:
            if a <= b:
                by_slopes = second * inner[(a,)] * inner[(b,)]
                outer[(a, b)] = by_slopes + first * inner[(a, b)]
    return outer


def compose(outer: Jet, inner: Mapping[str, Jet]) -> Jet:
    """A function of several variables, each of which is a jet in others."""
    jet = Jet({(): outer[()]})
    for name, part in inner.items():
        for key in part.keys() - {()}:
            jet[key] = jet[key] + outer[(name,)] * part[key]
    for (left, one), (right, other) in product(inner.items(), repeat=2):
        bend = outer[tuple(sorted((left, right)))]
        for a, b in product(_variables(one), _variables(other)):
            if a <= b:
                jet[(a, b)] = jet[(a, b)] + bend * one[(a,)] * other[(b,)]
    return jet


def _variables(jet: Jet) -> list[str]:
    return [key[0] for key in jet if len(key) == 1]


def total(jets: Iterable[Jet]) -> Jet:
    return sum(jets, start=Jet())

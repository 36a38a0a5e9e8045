"""Second-order jets in arbitrary precision: a value with all its first and second partial
derivatives.

A jet maps a sorted tuple of variable names to a `Term`: () to the value, (a,) to ∂/∂a, (a, b) to
∂²/∂a∂b. Missing entries are 0. Next to each entry it carries the scale: the same sum with the
magnitudes of its terms, which is what the rounding errors of any floating-point evaluation are
proportional to.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from mpmath import mpf

Key = tuple[str, ...]
Real = Any  # an mpf; mpmath has no types


class Term(NamedTuple):
    # A term adds and multiplies as a number, not as the tuple that it is to the type checker.
    value: Real
    scale: Real

    @classmethod
    def of(cls, *terms: Real) -> "Term":
        return cls(sum(terms, mpf(0)), sum(map(abs, terms), mpf(0)))

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
        return Jet({key: term for key, term in self.items() if variables.issuperset(key)})

    def __missing__(self, key: Key) -> Term:
        return ZERO

    def __add__(self, other: "Jet") -> "Jet":
        return Jet({key: self[key] + other[key] for key in self.keys() | other.keys()})

    def __mul__(self, other: "Jet") -> "Jet":
        total = Jet()
        for left, x in self.items():
            for right, y in other.items():
                if len(left) + len(right) > 2:
                    continue
                term = x * y
                if left == right != ():
                    # ∂²(fg)/∂a² has the term f_a·g_a twice; for a ≠ b the two terms come from two
                    # pairs of keys.
                    term = term + term
                key = tuple(sorted(left + right))
                total[key] = total[key] + term if key in total else term
        return total


def chain(inner: Jet, first: Term, second: Term, value: Term) -> Jet:
    """g(inner) for a function g of one number with the given value and derivatives at inner's
    value."""
    result: dict[Key, Term] = {(): value}
    names = [key[0] for key in inner if len(key) == 1]
    for a in names:
        result[(a,)] = first * inner[(a,)]
        for b in names:
            if a <= b:
                result[(a, b)] = second * inner[(a,)] * inner[(b,)] + first * inner[(a, b)]
    return Jet(result)


def total(jets: Iterable[Jet]) -> Jet:
    return sum(jets, start=Jet())

"""The truth about varifocal, heatmap and asymmetric losses, in arbitrary precision, from mpmath
alone.

As in `oracle`, p and q are computed each by itself, and a function gives a jet in all of its
arguments. A `constant_modulator` is constant in the logits alone: its derivatives in γ are what
they are anyway.
"""

from collections.abc import Iterable
from typing import NamedTuple

import mpmath
from mpmath import mpf

from .binary import cross_entropy, modulator, sigmoid
from .jets import Jet, Real, Term, total

LOGITS = ("logits",)
TWICE = ("logits", "logits")


def varifocal_loss(
    logits: float,
    targets: float,
    alpha: float | None = 0.75,
    gamma: float = 2.0,
    weight: float = 1.0,
    iou_weighted: bool = True,
    constant_modulator: bool = False,
    variables: frozenset[str] | None = None,
) -> Jet:
    """y > 0: w·BCE with w = y or 1; y = 0: α·p^γ·(−log q)."""
    z, y = mpf(logits), mpf(targets)
    if y > 0:
        loss = cross_entropy(z, y)
        if iou_weighted:
            loss = Jet.variable("targets", y) * loss
    else:
        loss = _focal(z, 0, mpf(gamma), "gamma", constant_modulator)
        if alpha is not None:
            loss = Jet.variable("alpha", mpf(alpha)) * loss
    return _weighted(weight, loss, variables)


def heatmap_focal_loss(
    logits: float,
    targets: float,
    alpha: float | None = None,
    gamma: float = 2.0,
    beta: float = 4.0,
    weight: float = 1.0,
    peak: float = 1.0,
    variables: frozenset[str] | None = None,
) -> Jet:
    """y ≥ peak: α·q^γ·(−log p); else (1 − α)·(1 − y)^β·p^γ·(−log q)."""
    z, y = mpf(logits), mpf(targets)
    is_peak = y >= peak
    loss = _focal(z, int(is_peak), mpf(gamma), "gamma")
    if not is_peak:
        loss = _falloff(y, mpf(beta)) * loss
    if alpha is not None:
        own = Jet.variable if is_peak else _rest
        loss = own("alpha", mpf(alpha)) * loss
    return _weighted(weight, loss, variables)


def asymmetric_loss(
    logits: float,
    targets: float,
    alpha: float | None = None,
    gamma_positive: float = 1.0,
    gamma_negative: float = 4.0,
    weight: float = 1.0,
    shift: float = 0.05,
    constant_modulator: bool = False,
    variables: frozenset[str] | None = None,
) -> Jet:
    """y·α·q^γ₊·(−log p) + (1 − y)·(1 − α)·x^γ₋·(−log(1 − x)) with x = max(p − shift, 0)."""
    z, y = mpf(logits), mpf(targets)
    held = constant_modulator
    positive = _focal(z, 1, mpf(gamma_positive), "gamma_positive", held)
    if shift:
        negative = _shifted(z, mpf(shift), mpf(gamma_negative), held)
    else:
        negative = _focal(z, 0, mpf(gamma_negative), "gamma_negative", held)
    sides = [Jet.variable("targets", y) * positive, _rest("targets", y) * negative]
    if alpha is not None:
        sides[0] = Jet.variable("alpha", mpf(alpha)) * sides[0]
        sides[1] = _rest("alpha", mpf(alpha)) * sides[1]
    return _weighted(weight, total(sides), variables)


def _weighted(weight: float, loss: Jet, variables: frozenset[str] | None) -> Jet:
    jet = Jet.variable("weight", mpf(weight)) * loss
    return jet.only(variables)


def _rest(name: str, x: Real) -> Jet:
    """1 − x."""
    return Jet({(): Term.of(mpf(1), -x), (name,): Term.of(mpf(-1))})


def _focal(z: Real, y: int, gamma: Real, name: str, held: bool = False) -> Jet:
    """The focal loss of a hard target, in logits and in the γ of this name."""
    kept = {"gamma"} if held else {"gamma", "logits"}
    factor = modulator(z, mpf(y), gamma).only(frozenset(kept))
    loss = factor * cross_entropy(z, mpf(y)).only(frozenset(LOGITS))
    return _renamed(loss, name)


def _renamed(jet: Jet, name: str) -> Jet:
    """With this name in place of gamma."""
    renamed = Jet()
    for key, term in jet.items():
        names = [name if variable == "gamma" else variable for variable in key]
        renamed[tuple(sorted(names))] = term
    return renamed


def _falloff(y: Real, beta: Real) -> Jet:
    """(1 − y)^β below a peak, where 1 − y is above 0."""
    rest = 1 - y
    log = mpmath.log1p(-y)
    power, less_one = rest**beta, rest ** (beta - 1)
    jet = Jet()
    jet[()] = Term.of(power)
    jet[("targets",)] = Term.of(-beta * less_one)
    # Of β² − β, which is what differentiating twice makes of the power, both terms.
    bend = rest ** (beta - 2)
    jet[("targets", "targets")] = Term.of(beta**2 * bend, -beta * bend)
    jet[("beta",)] = Term.of(log * power)
    jet[("beta", "beta")] = Term.of(log**2 * power)
    jet[("beta", "targets")] = Term.of(-less_one, -beta * log * less_one)
    return jet


class Product(NamedTuple):
    """factor·x^power·log(x)^logs·s^costs·c^−over, with c = 1 − x and s = −log c.

    An unfocused loss is s, and its modulator x^power·log(x)^logs.
    """

    factor: Real
    power: Real
    logs: int
    costs: int
    over: int

    def slope(self, held: bool = False) -> "list[Product]":
        """The terms of the derivative in x; those of the modulator are left out where it is
        held."""
        factor, power, logs, costs, over = self
        terms = [
            Product(factor * costs, power, logs, costs - 1, over + 1),
            Product(factor * over, power, logs, costs, over + 1),
        ]
        if not held:
            terms.append(Product(factor * power, power - 1, logs, costs, over))
            terms.append(Product(factor * logs, power - 1, logs - 1, costs, over))
        return [term for term in terms if term.factor]


class Shifted(NamedTuple):
    """x = p − shift above 0, c = 1 − x = q + shift, and by how much x moves with what is rounded,
    in rounding units."""

    x: Real
    c: Real
    blur: Real

    def at(self, product: Product) -> Real:
        factor, power, logs, costs, over = product
        log = mpmath.log1p(-self.c) if self.c < self.x else mpmath.log(self.x)
        cost = -mpmath.log1p(-self.x) if self.x < self.c else -mpmath.log(self.c)
        return factor * self.x**power * log**logs * cost**costs / self.c**over

    def term(self, products: Iterable[Product]) -> Term:
        """Their sum; its scale holds |∂/∂x|·blur, in which a modulator is never held."""
        products = list(products)
        here = Term.of(*map(self.at, products))
        moved = Term.of(*(self.at(slope) for product in products for slope in product.slope()))
        return Term(here.value, here.scale + moved.scale * self.blur)


def _shifted(z: Real, shift: Real, gamma: Real, held: bool) -> Jet:
    """x^γ·(−log(1 − x)) in logits and gamma_negative: 0 with all derivatives where p ≤ shift.

    p − shift loses digits where its terms cancel, and the logit of p − shift is rounded as the
    margin of a softmax is: the scales hold |∂/∂x|·2·shift and |∂/∂z·z|.
    """
    p, q = sigmoid(z), sigmoid(-z)
    if p <= shift:
        return Jet()
    slope = p * q
    bend = slope * (q - p)
    point = Shifted(p - shift, q + shift, 2 * shift + abs(z) * slope)
    jet = Jet()
    names: tuple[tuple[str, ...], ...] = ((), ("gamma_negative",), ("gamma_negative",) * 2)
    for logs, name in enumerate(names):
        value = [Product(mpf(1), gamma, logs, 1, 0)]
        first = [term for product in value for term in product.slope(held)]
        second = [term for product in first for term in product.slope(held)]
        jet[name] = point.term(value)
        if logs < 2:
            jet[tuple(sorted((*name, *LOGITS)))] = point.term(first) * Term.of(slope)
        if not logs:
            by_slope = point.term(second) * Term.of(slope**2)
            jet[TWICE] = by_slope + point.term(first) * Term.of(bend)
    return jet

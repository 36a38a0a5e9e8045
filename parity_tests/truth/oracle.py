"""The truth: focal losses and their derivatives in arbitrary precision, from mpmath alone.

Everything is written in p = σ(z) and q = σ(−z), each computed by itself, so that no digit is lost
where one of them is tiny. `certified` evaluates at d and at 2d digits and returns only what both
agree on.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement

import mpmath
from mpmath import mpf

from .binary import alpha_t, cross_entropy, distance_power, modulator, neg_log_sigmoid, sigmoid
from .jets import Jet, Real, Term, chain, column, total

AGREEMENT = 40
ARGUMENTS = frozenset({"logits", "targets", "alpha", "gamma", "weight"})


def certified(function: Callable[..., Jet], *args: object, digits: int = 50) -> Jet:
    """The jet function(*args) to at least 40 digits of each entry, or of its scale where its terms
    cancel."""
    while digits < 5000:
        with mpmath.workdps(digits):
            low = function(*args)
        with mpmath.workdps(2 * digits):
            high = function(*args)
            if _agree(low, high):
                return high
        digits *= 2
    raise ArithmeticError(f"no agreement to {AGREEMENT} digits for {function.__name__}{args}")


def _agree(low: Jet, high: Jet) -> bool:
    if low.keys() != high.keys():
        return False
    return all(_terms_agree(low[key], high[key]) for key in high)


def _terms_agree(low: Term, high: Term) -> bool:
    close = mpf(10) ** -AGREEMENT
    if abs(high.value) < high.scale * close**2:
        # What is left after the terms cancel has no digits of its own to agree on.
        return True
    return abs(low.value - high.value) <= close * abs(high.value)


def sigmoid_focal_loss(
    logits: float,
    targets: float,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    weight: float = 1.0,
    soft_targets: str = "interpolate",
    variables: frozenset[str] | None = None,
) -> Jet:
    """w·α_t·(1 − p_t)^γ·BCE, the mixture of the losses of both classes, or w·α_t·|y − p|^γ·BCE, as
    a jet in its five arguments.

    `variables` are those whose derivatives are wanted, or None for all.
    """
    if variables is None:
        variables = ARGUMENTS
    z, y = mpf(logits), mpf(targets)
    g, w = mpf(gamma), mpf(weight)
    a = None if alpha is None else mpf(alpha)
    precision = mpmath.mp.prec
    factor = Jet.variable("weight", w).only(variables)
    if soft_targets != "mixture":
        balance = alpha_t(y, a).only(variables)
        return factor * balance * _modulated(z, y, g, variables, precision, soft_targets)
    one = mpf(1)
    share_of_one = Jet.variable("targets", y)
    share_of_zero = Jet({(): Term.of(one, -y), ("targets",): Term.of(-one)})
    # The loss of each class alone has its target fixed.
    others = variables - {"targets"}
    sides = []
    for hard, share in ((one, share_of_one), (mpf(0), share_of_zero)):
        balance = alpha_t(hard, a).only(others)
        alone = balance * _modulated(z, hard, g, others, precision)
        sides.append(share.only(variables) * alone)
    return factor * total(sides)


@lru_cache(maxsize=4096)
def _modulated(
    z: Real,
    y: Real,
    gamma: Real,
    variables: frozenset[str],
    precision: int,
    rule: str = "interpolate",
) -> Jet:
    """(1 − p_t)^γ·BCE, or |y − p|^γ·BCE, at the working precision, which every α and weight of a
    sample shares."""
    power = distance_power if rule == "quality" else modulator
    factor = power(z, y, gamma)
    return factor.only(variables) * cross_entropy(z, y).only(variables)


def softmax_focal_loss(
    logits: Sequence[float],
    targets: Sequence[float],
    alpha: Sequence[float] | None = None,
    gamma: float = 2.0,
    weight: float = 1.0,
    variables: frozenset[str] | None = None,
    sizes: Sequence[Real] | None = None,
) -> Jet:
    """w·Σ_c y_c·α_c·f(u_c; γ) for class probabilities y, as a jet in logits0…, targets0…, alpha0…,
    gamma and weight.

    A hard class id is a one-hot y; label smoothing is in y, too. `variables` are those whose
    derivatives are wanted, or None for all. `sizes` are what the rounding of logits goes by that
    are sums themselves: the sums of the magnitudes.
    """
    z = tuple(mpf(x) for x in logits)
    magnitudes = tuple(abs(x) for x in sizes or z)
    terms = []
    for c, y in enumerate(targets):
        share = Jet.variable(column("targets", c), mpf(y))
        if alpha is not None:
            share = share * Jet.variable(column("alpha", c), mpf(alpha[c]))
        focal = _focal_of_class(z, magnitudes, c, mpf(gamma), mpmath.mp.prec)
        terms.append(share.only(variables) * focal.only(variables))
    factor = Jet.variable("weight", mpf(weight))
    return factor.only(variables) * total(terms)


@lru_cache(maxsize=4096)
def _focal_of_class(
    z: tuple[Real, ...], sizes: tuple[Real, ...], c: int, gamma: Real, precision: int
) -> Jet:
    """f(u_c; γ) with u_c = z_c − log Σ_{k≠c} exp(z_k), at the working precision, which all targets
    of a row share.

    Floating-point logits are rounded before anybody computes with them, and u_c moves with them by
    up to `blur` = Σ_k |∂u_c/∂z_k|·sizes_k rounding units. The scales therefore hold |f′|·blur
    beside |f|, and so on.
    """
    if len(z) == 1:
        return Jet()
    others = [k for k in range(len(z)) if k != c]
    # Exponentials are taken of differences from the largest of the other logits.
    top = max(z[k] for k in others)
    parts = {k: mpmath.exp(z[k] - top) for k in others}
    whole = sum(parts.values())
    share = {k: part / whole for k, part in parts.items()}
    mean = sum(share[k] * sizes[k] for k in others)

    u = z[c] - top - mpmath.log(whole)
    margin = Jet({(): Term.of(u), (column("logits", c),): Term.of(mpf(1))})
    for k in others:
        size = share[k] * (1 + sizes[k] + mean)
        margin[(column("logits", k),)] = Term(-share[k], size)
    for k, j in combinations_with_replacement(others, 2):
        both = share[k] * share[j]
        own = share[k] if j == k else 0
        size = (both + own) * (1 + sizes[k] + sizes[j] + 2 * mean)
        key = sorted((column("logits", k), column("logits", j)))
        margin[tuple(key)] = Term(both - own, size)
    return _focal_of_margin(margin, u, gamma, blur=sizes[c] + mean)


def _focal_of_margin(margin: Jet, u: Real, gamma: Real, blur: Real) -> Jet:
    p, q = sigmoid(u), sigmoid(-u)
    s = neg_log_sigmoid(u)
    log_q = -neg_log_sigmoid(-u)
    factor = q**gamma
    f = factor * s
    f_u = -factor * (gamma * p * s + q)
    terms = [gamma**2 * p * s, -gamma * q * s, (2 * gamma + 1) * q]
    f_uu = Term.of(*(factor * p * term for term in terms))
    value = Term(f, abs(f) + abs(f_u) * blur)
    first = Term(f_u, abs(f_u) + abs(f_uu.value) * blur)
    # Each derivative multiplies a term by less than γ + 3.
    second = Term(f_uu.value, f_uu.scale * (1 + (gamma + 3) * blur))
    jet = chain(margin, first, second, value)

    scale = abs(log_q) * value.scale + p * f * blur
    jet[("gamma",)] = Term(log_q * f, scale)
    scale = log_q**2 * value.scale + 2 * abs(log_q) * p * f * blur
    jet[("gamma", "gamma")] = Term(log_q**2 * f, scale)
    # ∂²f/∂γ∂u, which the margin's own derivatives multiply.
    mixed = Term.of(log_q * f_u, -p * f)
    moved = abs(log_q * f_uu.value) + 2 * p * abs(f_u) + p * q * f
    mixed = Term(mixed.value, mixed.scale + blur * moved)
    slopes = [key for key in margin if len(key) == 1]
    for key in slopes:
        with_gamma = sorted((*key, "gamma"))
        jet[tuple(with_gamma)] = mixed * margin[key]
    return jet

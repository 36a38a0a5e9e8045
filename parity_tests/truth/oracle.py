"""The truth: focal losses and their derivatives in arbitrary precision, from mpmath alone.

Everything is written in p = σ(z) and q = σ(−z), each computed by itself, so that no digit is lost
where one of them is tiny. `certified` evaluates at d and at 2d digits and returns only what both
agree on.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import mpmath
from mpmath import mpf

from .jets import Jet, Real, Term, chain, total

AGREEMENT = 40
ARGUMENTS = frozenset({"logits", "targets", "alpha", "gamma", "weight"})


def certified(function: Callable[..., Jet], *args: Any, digits: int = 50) -> Jet:
    """The jet function(*args) to at least 40 digits of each entry, or of its scale where its terms
    cancel."""
    while digits < 5000:
        with mpmath.workdps(digits):
            low = function(*args)
        with mpmath.workdps(2 * digits):
            high = function(*args)
            if low.keys() == high.keys() and all(_agree(low[key], high[key]) for key in high):
                return high
        digits *= 2
    raise ArithmeticError(f"no agreement to {AGREEMENT} digits for {function.__name__}{args}")


def _agree(low: Term, high: Term) -> bool:
    close = mpf(10) ** -AGREEMENT
    cancelled = abs(high.value) < high.scale * close**2
    return cancelled or abs(low.value - high.value) <= close * abs(high.value)


def sigmoid(z: Real) -> Real:
    return 1 / (1 + mpmath.exp(-z))


def neg_log_sigmoid(z: Real) -> Real:
    """−log p = log(1 + exp(−z)); the form log(σ(z)) would round to 0 as soon as q is below one unit
    of 1."""
    return mpmath.log1p(mpmath.exp(-z))


def sigmoid_focal_loss(
    logits: float,
    targets: float,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    weight: float = 1.0,
    soft_targets: str = "interpolate",
    variables: frozenset[str] | None = None,
) -> Jet:
    """w·α_t·(1 − p_t)^γ·BCE, or the mixture of the losses of both classes, as a jet in its five
    arguments.

    `variables` are those whose derivatives are wanted, or None for all.
    """
    if variables is None:
        variables = ARGUMENTS
    z, y, g, w = (mpf(x) for x in (logits, targets, gamma, weight))
    a = None if alpha is None else mpf(alpha)
    factor = Jet.variable("weight", w).only(variables)
    if soft_targets == "interpolate":
        alpha_t = _alpha_t(y, a).only(variables)
        return factor * alpha_t * _modulated(z, y, g, variables, mpmath.mp.prec)
    one, zero = mpf(1), mpf(0)
    share = [Jet.variable("targets", y), Jet({(): Term.of(one, -y), ("targets",): Term.of(-one)})]
    sides = []
    # The loss of each class alone has its target fixed.
    others = variables - {"targets"}
    for hard, part in zip((one, zero), share, strict=True):
        alone = _alpha_t(hard, a).only(others) * _modulated(z, hard, g, others, mpmath.mp.prec)
        sides.append(part.only(variables) * alone)
    return factor * total(sides)


@lru_cache(maxsize=4096)
def _modulated(z: Real, y: Real, gamma: Real, variables: frozenset[str], precision: int) -> Jet:
    """(1 − p_t)^γ·BCE at the working precision, which every α and weight of a sample shares."""
    return _modulator(z, y, gamma).only(variables) * _cross_entropy(z, y).only(variables)


def _alpha_t(y: Real, alpha: Real | None) -> Jet:
    """α_t = y·α + (1 − y)·(1 − α)."""
    if alpha is None:
        return Jet.constant(mpf(1))
    return Jet(
        {
            (): Term.of(y * alpha, (1 - y) * (1 - alpha)),
            ("targets",): Term.of(2 * alpha - 1),
            ("alpha",): Term.of(2 * y - 1),
            ("alpha", "targets"): Term.of(mpf(2)),
        }
    )


def _modulator(z: Real, y: Real, gamma: Real) -> Jet:
    """m^γ with m = 1 − p_t = y·q + (1 − y)·p."""
    p, q = sigmoid(z), sigmoid(-z)
    m = y * q + (1 - y) * p
    hit = y * p + (1 - y) * q
    log = mpmath.log1p(-hit) if hit < m else mpmath.log(m)
    m_z, m_y, m_zz, m_zy = (1 - 2 * y) * p * q, q - p, (1 - 2 * y) * p * q * (q - p), -2 * p * q
    power, slope, bend = m**gamma, gamma * m ** (gamma - 1), gamma * (gamma - 1) * m ** (gamma - 2)
    return Jet(
        {
            (): Term.of(power),
            ("logits",): Term.of(slope * m_z),
            ("targets",): Term.of(slope * m_y),
            ("gamma",): Term.of(log * power),
            ("logits", "logits"): Term.of(bend * m_z**2, slope * m_zz),
            ("logits", "targets"): Term.of(bend * m_z * m_y, slope * m_zy),
            ("targets", "targets"): Term.of(bend * m_y**2),
            ("gamma", "logits"): Term.of(m ** (gamma - 1) * m_z, log * slope * m_z),
            ("gamma", "targets"): Term.of(m ** (gamma - 1) * m_y, log * slope * m_y),
            ("gamma", "gamma"): Term.of(log**2 * power),
        }
    )


def _cross_entropy(z: Real, y: Real) -> Jet:
    """−y·log p − (1 − y)·log q."""
    p, q = sigmoid(z), sigmoid(-z)
    return Jet(
        {
            (): Term.of(y * neg_log_sigmoid(z), (1 - y) * neg_log_sigmoid(-z)),
            ("logits",): Term.of((1 - y) * p, -y * q),
            ("targets",): Term.of(-z),
            ("logits", "logits"): Term.of(p * q),
            ("logits", "targets"): Term.of(mpf(-1)),
        }
    )


def softmax_focal_loss(
    logits: Sequence[float],
    targets: Sequence[float],
    alpha: Sequence[float] | None = None,
    gamma: float = 2.0,
    weight: float = 1.0,
    variables: frozenset[str] | None = None,
) -> Jet:
    """w·Σ_c y_c·α_c·f(u_c; γ) for class probabilities y, as a jet in logits0…, targets0…, alpha0…,
    gamma and weight.

    A hard class id is a one-hot y; label smoothing is in y, too. `variables` are those whose
    derivatives are wanted, or None for all.
    """
    z = tuple(mpf(x) for x in logits)
    terms = []
    for c, y in enumerate(targets):
        share = Jet.variable(f"targets{c}", mpf(y))
        if alpha is not None:
            share = share * Jet.variable(f"alpha{c}", mpf(alpha[c]))
        terms.append(
            share.only(variables)
            * _focal_of_class(z, c, mpf(gamma), mpmath.mp.prec).only(variables)
        )
    return Jet.variable("weight", mpf(weight)).only(variables) * total(terms)


@lru_cache(maxsize=4096)
def _focal_of_class(z: tuple[Real, ...], c: int, gamma: Real, precision: int) -> Jet:
    """f(u_c; γ) with u_c = z_c − log Σ_{k≠c} exp(z_k), at the working precision, which all targets
    of a row share.

    Floating-point logits are rounded before anybody computes with them, and u_c moves with them by
    up to `blur` = Σ_k |∂u_c/∂z_k|·|z_k| rounding units. The scales therefore hold |f′|·blur beside
    |f|, and so on.
    """
    if len(z) == 1:
        return Jet()
    others = [k for k in range(len(z)) if k != c]
    top = max(z[k] for k in others)
    parts = {k: mpmath.exp(z[k] - top) for k in others}
    share = {k: part / sum(parts.values()) for k, part in parts.items()}
    u = z[c] - top - mpmath.log(sum(parts.values()))
    mean = sum(share[k] * abs(z[k]) for k in others)
    blur = abs(z[c]) + mean

    margin = Jet({(): Term.of(u), (f"logits{c}",): Term.of(mpf(1))})
    for k in others:
        margin[(f"logits{k}",)] = Term(-share[k], share[k] * (1 + abs(z[k]) + mean))
        for j in others:
            if j >= k:
                bend = share[k] * share[j] - (share[k] if j == k else 0)
                size = (share[k] * share[j] + (share[k] if j == k else 0)) * (
                    1 + abs(z[k]) + abs(z[j]) + 2 * mean
                )
                margin[tuple(sorted((f"logits{k}", f"logits{j}")))] = Term(bend, size)
    return _focal_of_margin(margin, u, gamma, blur)


def _focal_of_margin(margin: Jet, u: Real, gamma: Real, blur: Real) -> Jet:
    p, q = sigmoid(u), sigmoid(-u)
    s, log_q, factor = neg_log_sigmoid(u), -neg_log_sigmoid(-u), q**gamma
    f = factor * s
    f_u = -factor * (gamma * p * s + q)
    terms = [gamma**2 * p * s, -gamma * q * s, (2 * gamma + 1) * q]
    f_uu = Term.of(*(factor * p * term for term in terms))
    # Each derivative multiplies a term by less than γ + 3.
    f_uu = Term(f_uu.value, f_uu.scale * (1 + (gamma + 3) * blur))
    first, value = Term(f_u, abs(f_u) + abs(f_uu.value) * blur), Term(f, abs(f) + abs(f_u) * blur)
    jet = chain(margin, first, f_uu, value)
    jet[("gamma",)] = Term(log_q * f, abs(log_q) * value.scale + p * f * blur)
    jet[("gamma", "gamma")] = Term(
        log_q**2 * f, log_q**2 * value.scale + 2 * abs(log_q) * p * f * blur
    )
    mixed = Term.of(log_q * f_u, -p * f)
    mixed = Term(
        mixed.value, mixed.scale + blur * (abs(log_q * f_uu.value) + 2 * p * abs(f_u) + p * q * f)
    )
    for key in [key for key in margin if len(key) == 1]:
        jet[tuple(sorted((*key, "gamma")))] = mixed * margin[key]
    return jet

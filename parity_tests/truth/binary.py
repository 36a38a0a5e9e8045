"""What the losses of one logit are made of: p, q, the modulators and the cross entropy, as jets in
logits, targets, alpha and gamma."""

import mpmath
from mpmath import mpf

from .jets import Jet, Real, Term, chain

# A term of which nothing is asked but that it is finite.
ANY = Term(mpf(0), mpf(10) ** 150)


def sigmoid(z: Real) -> Real:
    return 1 / (1 + mpmath.exp(-z))


def neg_log_sigmoid(z: Real) -> Real:
    """−log p = log(1 + exp(−z)); the form log(σ(z)) would round to 0 as soon as q is below one unit
    of 1."""
    return mpmath.log1p(mpmath.exp(-z))


def alpha_t(y: Real, alpha: Real | None) -> Jet:
    """α_t = y·α + (1 − y)·(1 − α)."""
    if alpha is None:
        return Jet.constant(mpf(1))
    jet = Jet()
    jet[()] = Term.of(y * alpha, (1 - y) * (1 - alpha))
    jet[("targets",)] = Term.of(2 * alpha - 1)
    jet[("alpha",)] = Term.of(2 * y - 1)
    jet[("alpha", "targets")] = Term.of(mpf(2))
    return jet


def modulator(z: Real, y: Real, gamma: Real) -> Jet:
    """m^γ with m = 1 − p_t = y·q + (1 − y)·p."""
    p, q = sigmoid(z), sigmoid(-z)
    m = y * q + (1 - y) * p
    p_t = y * p + (1 - y) * q
    # log m, from whichever of m and p_t is small and therefore has all its digits.
    log = mpmath.log1p(-p_t) if p_t < m else mpmath.log(m)
    # Derivatives of m in z and y.
    m_z = (1 - 2 * y) * p * q
    m_y = q - p
    m_zz = m_z * (q - p)
    m_zy = -2 * p * q
    # m^γ with its first and second derivatives in m.
    power = m**gamma
    power_less_one = m ** (gamma - 1)
    slope = gamma * power_less_one
    bend = gamma * (gamma - 1) * m ** (gamma - 2)
    jet = Jet()
    jet[()] = Term.of(power)
    jet[("logits",)] = Term.of(slope * m_z)
    jet[("targets",)] = Term.of(slope * m_y)
    jet[("gamma",)] = Term.of(log * power)
    jet[("logits", "logits")] = Term.of(bend * m_z**2, slope * m_zz)
    jet[("logits", "targets")] = Term.of(bend * m_z * m_y, slope * m_zy)
    jet[("targets", "targets")] = Term.of(bend * m_y**2)
    jet[("gamma", "logits")] = Term.of(power_less_one * m_z, log * slope * m_z)
    jet[("gamma", "targets")] = Term.of(power_less_one * m_y, log * slope * m_y)
    jet[("gamma", "gamma")] = Term.of(log**2 * power)
    return jet


def distance_power(z: Real, y: Real, gamma: Real) -> Jet:
    """|y − p|^γ, the modulator of the quality focal loss.

    The difference is that of (1 − y)·p and y·q, whose roundings stay where the terms cancel. What
    they cost beyond the rounding of |y − p| itself is in the scales: |∂/∂d|·`cancelled` beside each
    derivative. Hard targets have one term alone, and nothing cancels.
    """
    p, q = sigmoid(z), sigmoid(-z)
    above, below = (1 - y) * p, y * q
    distance = above - below
    cancelled = 2 * min(above, below)
    inner = _distance(p, q)
    if not distance:
        return _power_of_zero(inner, gamma, cancelled)
    r, sign = abs(distance), mpmath.sign(distance)
    # log r, from 1 − r where that is the small one.
    rest = y + q if distance > 0 else 1 - y + p
    log = mpmath.log1p(-rest) if rest < r else mpmath.log(r)

    def term(order: int, logs: int) -> Term:
        """∂^order/∂d of log(r)^logs·r^γ."""
        here = _derivative_of_power(r, gamma, log, order, logs)
        moved = _derivative_of_power(r, gamma, log, order + 1, logs)
        return Term(here.value * sign**order, here.scale + moved.scale * cancelled)

    bend = term(2, 0)
    jet = chain(inner, term(1, 0), bend, term(0, 0))
    jet[("gamma",)] = term(0, 1)
    jet[("gamma", "gamma")] = term(0, 2)
    for name in ("logits", "targets"):
        jet[("gamma", name)] = term(1, 1) * inner[(name,)]
        # Of γ² − γ, which is what differentiating twice in a target makes of the power, both terms.
        both = Term(bend.value, bend.scale + 2 * gamma * r ** (gamma - 2))
        jet[(name, "targets")] = both * inner[(name,)] * inner[("targets",)]
    return jet


def _distance(p: Real, q: Real) -> Jet:
    """p − y, but for its value."""
    jet = Jet({("logits",): Term.of(p * q), ("targets",): Term.of(mpf(-1))})
    jet[("logits", "logits")] = Term.of(p * q * q, -p * q * p)
    return jet


def _derivative_of_power(r: Real, gamma: Real, log: Real, order: int, logs: int) -> Term:
    """∂^order/∂r of log(r)^logs·r^γ: the coefficients of the powers of log r, order by order."""
    coefficients = [mpf(0)] * logs + [mpf(1)]
    for done in range(order):
        slopes = [k * coefficients[k] for k in range(1, logs + 1)] + [mpf(0)]
        power = gamma - done
        pairs = zip(coefficients, slopes, strict=True)
        coefficients = [power * own + slope for own, slope in pairs]
    factor = r ** (gamma - order)
    return Term.of(*(x * log**k * factor for k, x in enumerate(coefficients)))


def _power_of_zero(inner: Jet, gamma: Real, cancelled: Real) -> Jet:
    """0^γ at p = y, where a derivative that does not exist may be any finite number."""
    jet = Jet()
    if not gamma:
        jet[()] = Term.of(mpf(1))
        jet[("gamma",)] = jet[("gamma", "gamma")] = ANY
    # The slope is 0 by the contract, also where |d|^γ has a corner or a cusp.
    bend = in_targets = Term.of(mpf(0))
    if 0 < gamma <= 2:
        # As at hard targets, second derivatives in targets are not promised where they hold r^0.
        bend, in_targets = Term.of(mpf(2)) if gamma == 2 else ANY, ANY
    elif gamma > 2:
        # It is 0 but for what the rounding of both terms of d leaves.
        bend = in_targets = Term(mpf(0), gamma * (gamma - 1) * cancelled ** (gamma - 2))
    jet[("logits", "logits")] = bend * inner[("logits",)] * inner[("logits",)]
    for name in ("logits", "targets"):
        jet[(name, "targets")] = in_targets * inner[(name,)] * inner[("targets",)]
        if gamma <= 1:
            jet[("gamma", name)] = ANY
    return jet


def cross_entropy(z: Real, y: Real) -> Jet:
    """−y·log p − (1 − y)·log q."""
    p, q = sigmoid(z), sigmoid(-z)
    jet = Jet()
    jet[()] = Term.of(y * neg_log_sigmoid(z), (1 - y) * neg_log_sigmoid(-z))
    jet[("logits",)] = Term.of((1 - y) * p, -y * q)
    jet[("targets",)] = Term.of(-z)
    jet[("logits", "logits")] = Term.of(p * q)
    jet[("logits", "targets")] = Term.of(mpf(-1))
    return jet

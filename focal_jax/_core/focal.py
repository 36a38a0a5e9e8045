"""The mathematics: every focal loss is one function of one number, the margin u of the true class.

    f(u; γ) = σ(−u)^γ · softplus(−u)          with  σ(−u) = 1 − p_t  and  softplus(−u) = −log p_t

Below each function stand its partial derivatives, which are made of the same functions again.
Nothing here forms 1 − p or q^(γ − 1), so both tails keep their relative accuracy and every
derivative is finite for every γ ≥ 0. Equation numbers are those of Lin et al., Focal Loss for Dense
Object Detection, arXiv:1708.02002.

    p = σ(u)        q = σ(−u) = 1 − p        s = softplus(−u) = −log p

All have the shape of u; γ is a number, or an array that broadcasts to it.
"""

from functools import reduce
from operator import mul

import jax.numpy as jnp
from jax import Array, lax

from .._base.arrays import Number
from .._base.autodiff import closed_form
from .._base.tracing import with_batch_axes_of

# The best polynomial in x² for (log(1 + e)/x − 1)/x² up to x = 2/3. The series, which is that of
# 2·artanh(x/2), has 1/(4·3), 1/(4²·5), 1/(4³·7), 1/(4⁴·9), …
LOG_SERIES = (0.1401222947 / 4**4, 0.1399957053 / 4**3, 0.2001084953 / 4**2, 0.3333320657 / 4)

# From here on a power of γ is one operation: its products would take longer, and round as often.
LARGE_GAMMA = 6


@closed_form
def sigmoid(u: Array) -> Array:
    """σ(u) = 1 / (1 + exp(−u))."""
    return lax.logistic(u)


@sigmoid.partial("u")
def sigmoid_u(u: Array) -> Array:
    """σ(u)·σ(−u)."""
    return sigmoid(u) * sigmoid(-u)


@closed_form
def softplus(u: Array) -> Array:
    """log(1 + exp(u)), so that softplus(−u) = −log σ(u)."""
    return _softplus(u)


@softplus.partial("u")
def softplus_u(u: Array) -> Array:
    """σ(u)."""
    return sigmoid(u)


@closed_form
def modulating_factor(u: Array, gamma: Number) -> Array:
    """q^γ, the modulating factor of equation (4)."""
    q = lax.logistic(-u)
    return power(q, gamma)


@modulating_factor.partial("u")
def modulating_factor_u(u: Array, gamma: Number) -> Array:
    """−γ·p·q^γ."""
    # γ·q^γ·p instead of γ·q^(γ − 1)·p·q: at q = 0 a γ below 1 would give inf·0.
    return -gamma * sigmoid(u) * modulating_factor(u, gamma)


@modulating_factor.partial("gamma")
def modulating_factor_gamma(u: Array, gamma: Number) -> Array:
    """log(q)·q^γ = −softplus(u)·q^γ."""
    log_q = -softplus(u)
    return log_q * modulating_factor(u, gamma)


@closed_form
def focal(u: Array, gamma: Number) -> Array:
    """f(u; γ) = q^γ·s: equation (4) as a function of the margin."""
    u = with_batch_axes_of(gamma, u)
    q = lax.logistic(-u)
    s = _softplus(-u)
    return power(q, gamma) * s


@focal.partial("u")
def focal_u(u: Array, gamma: Number) -> Array:
    """∂f/∂u = −q^γ·(γ·p·s + q)."""
    return -neg_grad_u(u, gamma)


@focal.partial("gamma")
def focal_gamma(u: Array, gamma: Number) -> Array:
    """∂f/∂γ = −softplus(u)·f, with the factor that may underflow last."""
    log_q = -softplus(u)
    return log_q * softplus(-u) * modulating_factor(u, gamma)


@closed_form
def neg_grad_u(u: Array, gamma: Number) -> Array:
    """−∂f/∂u = q^γ·(γ·p·s + q): no term is negative, so that nothing cancels."""
    p, q, s = p_q_softplus(with_batch_axes_of(gamma, u))
    # q^γ·q instead of q^(γ + 1), and γ·q^γ·p·s instead of a factor q^(γ − 1).
    bracket = gamma * p * s + q
    return power(q, gamma) * bracket


@neg_grad_u.partial("u")
def neg_grad_u_u(u: Array, gamma: Number) -> Array:
    """−∂²f/∂u²."""
    return -grad2_u(u, gamma)


@neg_grad_u.partial("gamma")
def neg_grad_u_gamma(u: Array, gamma: Number) -> Array:
    """q^γ·p·s − softplus(u)·(−∂f/∂u)."""
    from_bracket = modulating_factor(u, gamma) * sigmoid(u) * softplus(-u)
    from_power = softplus(u) * neg_grad_u(u, gamma)
    return from_bracket - from_power


def grad2_u(u: Array, gamma: Number) -> Array:
    """∂²f/∂u² = q^γ·p·(γ²·p·s − γ·q·s + (2γ + 1)·q)."""
    p = sigmoid(u)
    q = sigmoid(-u)
    s = softplus(-u)
    first = gamma * gamma * p * s
    last = (2 * gamma + 1) * q
    # The term in the middle makes the loss concave where the margin is far below 0.
    bracket = first - gamma * q * s + last
    return modulating_factor(u, gamma) * p * bracket


@closed_form
def softcapped(z: Array, cap: float) -> Array:
    """cap·tanh(z / cap): logits that stay within ±cap."""
    return cap * jnp.tanh(z / cap)


@softcapped.partial("z")
def softcapped_z(z: Array, cap: float) -> Array:
    """1 − tanh² = 4·σ(2z / cap)·σ(−2z / cap), without its cancellation."""
    above = sigmoid(2 * z / cap)
    below = sigmoid(-2 * z / cap)
    return 4 * above * below


def power(base: Array, gamma: Number) -> Array:
    """base^γ. A small number γ is split into products and a fractional power, which are faster and
    more exact."""
    if isinstance(gamma, Array):
        # 1 to the power of NaN would be 1. Not by a selection, whose cases would have to lie alike
        # on a mesh.
        zero_or_nan = gamma - gamma
        return base**gamma + zero_or_nan
    # A few products take less time than a power, and round less.
    whole = int(gamma) if gamma < LARGE_GAMMA else 0
    factors = [base] * whole
    for exponent in _exponents(base, gamma - whole):
        if exponent:
            factors.append(base**exponent)
    if not factors:
        return jnp.ones_like(base)
    return reduce(mul, factors)


def _exponents(base: Array, gamma: float) -> tuple[float, ...]:
    """Numbers with the sum γ that float32 holds: it would round 0.3, which costs |log q|/2 units of
    the result."""
    if base.dtype == jnp.float64 or gamma >= LARGE_GAMMA:
        return (gamma,)
    # A multiple of 1/256, which float32 holds, and a rest whose rounding does not matter: mostly 0.
    coarse = int(gamma * 256) / 256
    return coarse, gamma - coarse


def p_q_softplus(u: Array) -> tuple[Array, Array, Array]:
    """p, q and s of u (…), each (…)."""
    p = lax.logistic(u)
    q = lax.logistic(-u)
    return p, q, _softplus(-u)


def _softplus(u: Array) -> Array:
    """max(u, 0) + log(1 + exp(−|u|))."""
    a = lax.abs(u)
    linear = jnp.maximum(u, 0)
    if u.dtype == jnp.float64:
        return linear + jnp.log1p(jnp.exp(-a))
    # e / (1 + e/2) with e = exp(−a). XLA for the CPU would store e if it stood in both numerator
    # and denominator.
    x = 1 / (0.5 + lax.exp(a))
    return linear + _log_from(x)


def _log_from(x: Array) -> Array:
    """log(1 + e) from x = e / (1 + e/2) ≤ 2/3, which is x + x³/12 + x⁵/80 + …, to 0.04 units of
    float32."""
    square = x * x
    series = LOG_SERIES[0]
    for coefficient in LOG_SERIES[1:]:
        series = series * square + coefficient
    # x last: it is the largest term, and rounds once.
    return x + x * (square * series)

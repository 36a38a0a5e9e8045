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

import torch
from torch import Tensor

from .._base.arrays import Number
from .._base.autodiff import closed_form
from .._base.tracing import has_kernels
from .._base.versions import softplus as softplus_kernel

# The best polynomial in x² for (log(1 + e)/x − 1)/x² up to x = 2/3. The series, which is that of
# 2·artanh(x/2), has 1/(4·3), 1/(4²·5), 1/(4³·7), 1/(4⁴·9), …
LOG_SERIES = (0.1401222947 / 4**4, 0.1399957053 / 4**3, 0.2001084953 / 4**2, 0.3333320657 / 4)

# softplus(u) is u from here on in float64. The kernel would begin at 20.
SOFTPLUS_IS_LINEAR = 40

# From here on a power of γ is one operation: its products would take longer, and round as often.
LARGE_GAMMA = 6


@closed_form
def sigmoid(u: Tensor) -> Tensor:
    """σ(u) = 1 / (1 + exp(−u))."""
    return torch.sigmoid(u)


@sigmoid.partial("u")
def sigmoid_u(u: Tensor) -> Tensor:
    """σ(u)·σ(−u)."""
    return sigmoid(u) * sigmoid(-u)


@closed_form
def softplus(u: Tensor) -> Tensor:
    """log(1 + exp(u)), so that softplus(−u) = −log σ(u)."""
    return _softplus(u)


@softplus.partial("u")
def softplus_u(u: Tensor) -> Tensor:
    """σ(u)."""
    return sigmoid(u)


@closed_form
def modulating_factor(u: Tensor, gamma: Number) -> Tensor:
    """q^γ, the modulating factor of equation (4)."""
    if has_kernels(u):
        q = torch.sigmoid(-u)
    else:
        _, q, _ = p_q_softplus(u)
    return power(q, gamma)


@modulating_factor.partial("u")
def modulating_factor_u(u: Tensor, gamma: Number) -> Tensor:
    """−γ·p·q^γ."""
    # γ·q^γ·p instead of γ·q^(γ − 1)·p·q: at q = 0 a γ below 1 would give inf·0.
    return -gamma * sigmoid(u) * modulating_factor(u, gamma)


@modulating_factor.partial("gamma")
def modulating_factor_gamma(u: Tensor, gamma: Number) -> Tensor:
    """log(q)·q^γ = −softplus(u)·q^γ."""
    log_q = -softplus(u)
    return log_q * modulating_factor(u, gamma)


@closed_form
def focal(u: Tensor, gamma: Number) -> Tensor:
    """f(u; γ) = q^γ·s: equation (4) as a function of the margin."""
    if has_kernels(u):
        v = -u
        q, s = torch.sigmoid(v), _softplus(v)
        # What has a name stays in memory, and a power is as large.
        del v
    else:
        _, q, s = p_q_softplus(u)
    return power(q, gamma) * s


@focal.partial("u")
def focal_u(u: Tensor, gamma: Number) -> Tensor:
    """∂f/∂u = −q^γ·(γ·p·s + q)."""
    return -neg_grad_u(u, gamma)


@focal.partial("gamma")
def focal_gamma(u: Tensor, gamma: Number) -> Tensor:
    """∂f/∂γ = −softplus(u)·f, with the factor that may underflow last."""
    log_q = -softplus(u)
    return log_q * softplus(-u) * modulating_factor(u, gamma)


@closed_form
def neg_grad_u(u: Tensor, gamma: Number) -> Tensor:
    """−∂f/∂u = q^γ·(γ·p·s + q): no term is negative, so that nothing cancels."""
    p, q, s = p_q_softplus(u)
    # q^γ·q instead of q^(γ + 1), and γ·q^γ·p·s instead of a factor q^(γ − 1).
    bracket = gamma * p * s + q
    return power(q, gamma) * bracket


@neg_grad_u.partial("u")
def neg_grad_u_u(u: Tensor, gamma: Number) -> Tensor:
    """−∂²f/∂u²."""
    return -grad2_u(u, gamma)


@neg_grad_u.partial("gamma")
def neg_grad_u_gamma(u: Tensor, gamma: Number) -> Tensor:
    """q^γ·p·s − softplus(u)·(−∂f/∂u)."""
    from_bracket = modulating_factor(u, gamma) * sigmoid(u) * softplus(-u)
    from_power = softplus(u) * neg_grad_u(u, gamma)
    return from_bracket - from_power


def grad2_u(u: Tensor, gamma: Number) -> Tensor:
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
def softcapped(z: Tensor, cap: float) -> Tensor:
    """cap·tanh(z / cap): logits that stay within ±cap."""
    return cap * torch.tanh(z / cap)


@softcapped.partial("z")
def softcapped_z(z: Tensor, cap: float) -> Tensor:
    """1 − tanh² = 4·σ(2z / cap)·σ(−2z / cap), without its cancellation."""
    above = sigmoid(2 * z / cap)
    below = sigmoid(-2 * z / cap)
    return 4 * above * below


def power(base: Tensor, gamma: Number) -> Tensor:
    """base^γ. A small number γ is split into products and a fractional power, which are faster and
    more exact."""
    if isinstance(gamma, Tensor):
        # 1 to the power of NaN would be 1.
        return torch.where(torch.isnan(gamma), gamma, base**gamma)
    # A few products take less time than a power, and round less.
    whole = int(gamma) if gamma < LARGE_GAMMA else 0
    factors = [base] * whole
    rest = gamma - whole
    if rest:
        factors += [base**exponent for exponent in _exponents(base, rest) if exponent]
    if not factors:
        return torch.ones_like(base)
    return reduce(mul, factors)


def _exponents(base: Tensor, gamma: float) -> tuple[float, ...]:
    """Numbers with the sum γ that float32 holds: it would round 0.3, which costs |log q|/2 units of
    the result."""
    if base.dtype == torch.float64 or gamma >= LARGE_GAMMA:
        return (gamma,)
    # A multiple of 1/256, which float32 holds, and a rest whose rounding does not matter: mostly 0.
    coarse = int(gamma * 256) / 256
    return coarse, gamma - coarse


def p_q_softplus(u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """p, q and s of u (…), each (…)."""
    if has_kernels(u):
        # −u once, since in eager mode every operation is a pass.
        v = -u
        return torch.sigmoid(u), torch.sigmoid(v), _softplus(v)
    # In a compiled loop the exponential and the quotient are what takes the time, so there is one
    # of each.
    e = torch.exp(-torch.abs(u))
    inverse = 1 / ((1 + e) * (1 + 0.5 * e))
    large_p = (1 + 0.5 * e) * inverse
    small_p = large_p * e
    # e / (1 + e/2)
    x = (1 + e) * inverse * e
    s = (-u).clamp(min=0) + _log_from(x)
    positive = u >= 0
    p = torch.where(positive, large_p, small_p)
    q = torch.where(positive, small_p, large_p)
    return p, q, s


def _softplus(u: Tensor) -> Tensor:
    """max(u, 0) + log(1 + exp(−|u|))."""
    if has_kernels(u):
        return softplus_kernel(u, SOFTPLUS_IS_LINEAR)
    _, _, s = p_q_softplus(-u)
    return s


def _log_from(x: Tensor) -> Tensor:
    """log(1 + e) from x = e / (1 + e/2) ≤ 2/3, which is x + x³/12 + x⁵/80 + …, to 0.04 units of
    float32."""
    square = x * x
    series = LOG_SERIES[0]
    for coefficient in LOG_SERIES[1:]:
        series = series * square + coefficient
    # x last: it is the largest term, and rounds once.
    return x + x * (square * series)

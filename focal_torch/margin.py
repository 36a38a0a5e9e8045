"""The mathematics: every focal loss is one function of one number, the margin u of the true class.

    f(u; γ) = σ(−u)^γ · softplus(−u)          with  σ(−u) = 1 − p_t  and  softplus(−u) = −log p_t

Each function stands below its partial derivatives, which are built from the same functions again. Nothing here
forms 1 − p or q^(γ − 1), so both tails keep their relative accuracy and every derivative is finite for every γ ≥ 0.
Equation numbers are those of Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002.
"""
# A partial derivative refers to the function that it stands above, which pyright takes for a circle.
# pyright: reportGeneralTypeIssues=false

from functools import reduce
from operator import mul
from typing import Any

import torch
from torch import Tensor

from .engine import has_kernels
from .rules import closed_form
from .versions import softplus as one_pass_softplus

# The best polynomial in x² for (log(1 + e)/x − 1)/x² up to x = 2/3, where its series has 1/12, 1/80, 1/448, …
LOG_SERIES = tuple(k / 4**n for n, k in ((4, 0.1401222947), (3, 0.1399957053), (2, 0.2001084953), (1, 0.3333320657)))

# softplus(u) is u from here on in float64. The kernel would begin at 20.
EXACT = 40


@closed_form(lambda u: sigmoid(u) * sigmoid(-u))
def sigmoid(u: Tensor) -> Tensor:
    """σ(u) = 1 / (1 + exp(−u))."""
    return torch.sigmoid(u)


@closed_form(lambda u: sigmoid(u))
def softplus(u: Tensor) -> Tensor:
    """log(1 + exp(u)), so that softplus(−u) = −log σ(u)."""
    return _softplus(u)


@closed_form(
    lambda u, gamma: -gamma * sigmoid(u) * modulator(u, gamma),
    lambda u, gamma: -softplus(u) * modulator(u, gamma),
)
def modulator(u: Tensor, gamma: Any) -> Tensor:
    """σ(−u)^γ, the modulating factor of equation (4)."""
    return power(torch.sigmoid(-u), gamma)


@closed_form(
    lambda u, gamma: -focal_descent(u, gamma),
    lambda u, gamma: focal_per_gamma(u, gamma),
)
def focal(u: Tensor, gamma: Any) -> Tensor:
    """f(u; γ) = σ(−u)^γ · softplus(−u): equation (4) as a function of the margin."""
    q, s = _of_miss(u)
    return power(q, gamma) * s


@closed_form(
    lambda u, gamma: -focal_curvature(u, gamma),
    lambda u, gamma: modulator(u, gamma) * sigmoid(u) * softplus(-u) - softplus(u) * focal_descent(u, gamma),
)
def focal_descent(u: Tensor, gamma: Any) -> Tensor:
    """−∂f/∂u = q^γ (γ p s + q) with p = σ(u), q = σ(−u), s = softplus(−u): no term is negative."""
    p, q, s = parts(u)
    return power(q, gamma) * (gamma * p * s + q)


def focal_curvature(u: Tensor, gamma: Any) -> Tensor:
    """∂²f/∂u² = q^γ p (γ² p s − γ q s + (2γ + 1) q)."""
    p, q, s = sigmoid(u), sigmoid(-u), softplus(-u)
    return modulator(u, gamma) * p * (gamma * gamma * p * s - gamma * q * s + (2 * gamma + 1) * q)


@closed_form(lambda z, cap: 4 * sigmoid(2 * z / cap) * sigmoid(-2 * z / cap), None)
def softcapped(z: Tensor, cap: float) -> Tensor:
    """cap·tanh(z / cap), whose slope 1 − tanh² is 4·σ(2z / cap)·σ(−2z / cap)."""
    return cap * torch.tanh(z / cap)


def focal_per_gamma(u: Tensor, gamma: Any) -> Tensor:
    """∂f/∂γ = −softplus(u)·f, with the factor that may underflow last."""
    return -softplus(u) * softplus(-u) * modulator(u, gamma)


def power(base: Tensor, gamma: Any) -> Tensor:
    """base^γ. A small γ that is known before the computation is split into a product and a fractional power."""
    if isinstance(gamma, Tensor):
        return base**gamma
    whole = int(gamma) if gamma < 6 else 0
    factors = [base] * whole + [base**part for part in _exponents(base, gamma - whole) if part]
    return reduce(mul, factors) if factors else torch.ones_like(base)


def _exponents(base: Tensor, gamma: float) -> tuple[float, ...]:
    """Numbers with the sum γ that float32 holds: it would round 0.3, which costs |log q|/2 units of the result."""
    if base.dtype == torch.float64 or gamma >= 6 or gamma * 2**16 % 1 == 0:
        return (gamma,)
    coarse = int(gamma * 256) / 256
    return coarse, gamma - coarse


def parts(u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """p = σ(u), q = σ(−u) and s = softplus(−u)."""
    if has_kernels(u):
        return torch.sigmoid(u), *_of_miss(u)
    # In a compiled loop the exponential and the quotient are what takes the time, so there is one of each.
    e = torch.exp(-torch.abs(u))
    inverse = 1 / ((1 + e) * (1 + 0.5 * e))
    large, x = (1 + 0.5 * e) * inverse, (1 + e) * inverse * e
    small, right = large * e, u >= 0
    s = (-u).clamp(min=0) + _log_from(x)
    return torch.where(right, large, small), torch.where(right, small, large), s


def _of_miss(u: Tensor) -> tuple[Tensor, Tensor]:
    """q = σ(−u) and s = softplus(−u)."""
    if has_kernels(u):
        v = -u
        return torch.sigmoid(v), _softplus(v)
    _, q, s = parts(u)
    return q, s


def _softplus(u: Tensor) -> Tensor:
    """max(u, 0) + log(1 + exp(−|u|))."""
    return one_pass_softplus(u, EXACT) if has_kernels(u) else parts(-u)[2]


def _log_from(x: Tensor) -> Tensor:
    """log(1 + e) from x = e / (1 + e/2) ≤ 2/3, which is x + x³/12 + x⁵/80 + …, to 0.04 units of float32."""
    square = x * x
    return x + x * (square * reduce(lambda rest, k: rest * square + k, LOG_SERIES))

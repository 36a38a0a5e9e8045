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

import jax.numpy as jnp
from jax import Array, lax

from .rules import closed_form


@closed_form(lambda u: sigmoid(u) * sigmoid(-u))
def sigmoid(u: Array) -> Array:
    """σ(u) = 1 / (1 + exp(−u))."""
    return lax.logistic(u)


@closed_form(lambda u: sigmoid(u))
def softplus(u: Array) -> Array:
    """log(1 + exp(u)), so that softplus(−u) = −log σ(u)."""
    return jnp.maximum(u, 0) + jnp.log1p(jnp.exp(-jnp.abs(u)))


@closed_form(
    lambda u, gamma: -gamma * sigmoid(u) * modulator(u, gamma),
    lambda u, gamma: -softplus(u) * modulator(u, gamma),
)
def modulator(u: Array, gamma: Any) -> Array:
    """σ(−u)^γ, the modulating factor of equation (4)."""
    return power(sigmoid(-u), gamma)


@closed_form(
    lambda u, gamma: focal_slope(u, gamma),
    lambda u, gamma: focal_per_gamma(u, gamma),
)
def focal(u: Array, gamma: Any) -> Array:
    """f(u; γ) = σ(−u)^γ · softplus(−u): equation (4) as a function of the margin."""
    return modulator(u, gamma) * softplus(-u)


def focal_slope(u: Array, gamma: Any) -> Array:
    """∂f/∂u = −q^γ (γ p s + q) with p = σ(u), q = σ(−u), s = softplus(−u): all terms have one sign."""
    return -modulator(u, gamma) * (sigmoid(u) * softplus(-u) * gamma + sigmoid(-u))


def focal_per_gamma(u: Array, gamma: Any) -> Array:
    """∂f/∂γ = −softplus(u)·f, with the factor that may underflow last."""
    return -softplus(u) * softplus(-u) * modulator(u, gamma)


def power(base: Array, gamma: Any) -> Array:
    """base^γ. A small γ that is known before the computation is split into a product and a fractional power."""
    if isinstance(gamma, Array):
        return base**gamma
    whole = int(gamma) if gamma < 6 else 0
    factors = [base] * whole + [base**part for part in _parts(base, gamma - whole) if part]
    return reduce(mul, factors) if factors else jnp.ones_like(base)


def _parts(base: Array, gamma: float) -> tuple[float, ...]:
    """Numbers with the sum γ that float32 holds: it would round 0.3, which costs |log q|/2 units of the result."""
    if base.dtype == jnp.float64 or gamma * 2**16 % 1 == 0:
        return (gamma,)
    coarse = int(gamma * 256) / 256
    return coarse, gamma - coarse

"""Losses of single logits z with α, for hard targets and for the mixture of both.

    z    logits (…)            y    targets (…)            α, γ    numbers, or arrays (…)

`interpolated.py` has the other rule for soft targets. For y = 1 and y = 0 both rules are the hard
loss.
"""

import jax.numpy as jnp
from jax import Array

from .._base.arrays import Number, multiply_no_nan
from .._base.autodiff import weighted
from .focal import focal, focal_gamma, neg_grad_u


@weighted
def hard_focal(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """α_t·f(±z; γ), equation (5), for boolean or integer targets."""
    loss = focal.formula(_signed(z, y), gamma)
    if alpha is None:
        return loss
    alpha_t = _by_class(z, y, alpha, 1 - alpha)
    if isinstance(alpha, Array) or alpha in (0, 1):
        return multiply_no_nan(alpha_t, loss)
    # A number between 0 and 1 makes no 0·inf, and is spared the passes that look for it.
    return alpha_t * loss


@hard_focal.partial("z")
def hard_focal_z(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """±α_t·f′(±z; γ)."""
    # Its sign is that of the margin's slope in z: one selection for both.
    signed_alpha_t = _by_class(z, y, -alpha_1(alpha), alpha_0(alpha))
    u = _signed(z, y)
    return signed_alpha_t * neg_grad_u(u, gamma)


@hard_focal.partial("alpha")
def hard_focal_alpha(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """±f(±z; γ)."""
    sign = _by_class(z, y, 1.0, -1.0)
    return sign * focal(_signed(z, y), gamma)


@hard_focal.partial("gamma")
def hard_focal_gamma(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """α_t·∂f/∂γ."""
    alpha_t = _by_class(z, y, alpha_1(alpha), alpha_0(alpha))
    u = _signed(z, y)
    return alpha_t * focal_gamma(u, gamma)


def _signed(z: Array, y: Array) -> Array:
    """The margin: z for class 1, −z for class 0."""
    if y.dtype == jnp.bool_:
        return jnp.where(y, z, -z)
    sign = 2 * _as_0_or_1(z, y) - 1
    return z * sign


def _by_class(z: Array, y: Array, positive: Number, negative: Number) -> Array:
    """`positive` for class 1, `negative` for class 0, in the dtype of z."""
    if y.dtype != jnp.bool_:
        # XLA for TPUs would store the mask that value and gradient share.
        y = _as_0_or_1(z, y)
        return y * positive + (1 - y) * negative
    return jnp.where(y, _as_array(z, positive), _as_array(z, negative))


def _as_0_or_1(z: Array, y: Array) -> Array:
    """0 or 1 as in y, NaN where it has another integer, in the dtype of z."""
    return jnp.where((y == 0) | (y == 1), y.astype(z.dtype), jnp.nan)


def _as_array(z: Array, x: Number) -> Array:
    """A number in the dtype of z, which a selection between two numbers would not have."""
    if isinstance(x, Array):
        return x
    return jnp.full((), x, z.dtype)


def alpha_1(alpha: Number | None) -> Number:
    """The weight of class 1."""
    return 1.0 if alpha is None else alpha


def alpha_0(alpha: Number | None) -> Number:
    """The weight of class 0."""
    return 1.0 if alpha is None else 1 - alpha


@weighted
def mixture_focal(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """y·α·f(z) + (1 − y)·(1 − α)·f(−z): the expected loss when y is a probability."""
    positive = multiply_no_nan(y * alpha_1(alpha), focal.formula(z, gamma))
    negative = multiply_no_nan((1 - y) * alpha_0(alpha), focal.formula(-z, gamma))
    return positive + negative


@mixture_focal.partial("z")
def mixture_focal_z(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """y·α·f′(z) − (1 − y)·(1 − α)·f′(−z)."""
    negative = (1 - y) * alpha_0(alpha) * neg_grad_u(-z, gamma)
    positive = y * alpha_1(alpha) * neg_grad_u(z, gamma)
    return negative - positive


@mixture_focal.partial("y")
def mixture_focal_y(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """α·f(z) − (1 − α)·f(−z)."""
    positive = alpha_1(alpha) * focal(z, gamma)
    negative = alpha_0(alpha) * focal(-z, gamma)
    return positive - negative


@mixture_focal.partial("alpha")
def mixture_focal_alpha(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """y·f(z) − (1 − y)·f(−z)."""
    positive = y * focal(z, gamma)
    negative = (1 - y) * focal(-z, gamma)
    return positive - negative


@mixture_focal.partial("gamma")
def mixture_focal_gamma(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """y·α·∂f(z)/∂γ + (1 − y)·(1 − α)·∂f(−z)/∂γ."""
    positive = y * alpha_1(alpha) * focal_gamma(z, gamma)
    negative = (1 - y) * alpha_0(alpha) * focal_gamma(-z, gamma)
    return positive + negative

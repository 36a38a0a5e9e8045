"""The varifocal loss of single logits: a cross entropy for positives, which have y > 0, and the
focal loss of class 0 for all others.

    z    logits (…)        y    targets (…)        α, γ    numbers, or arrays (…)
    p    σ(z)              b    −y·log p − (1 − y)·log(1 − p), which for y = 0 is softplus(z)

`held` is None, or the logits again, of which p^γ is made where no derivative in the logits shall
flow through it. Which case an element is in is a number, 0 or 1, and selections are products: they
take less time, and NaN stays NaN.
"""

import jax.numpy as jnp
from jax import Array

from .._base.arrays import Number, multiply_no_nan
from .._base.autodiff import closed_form, weighted
from .._base.tracing import with_batch_axes_of
from .focal import (
    grad2_u,
    modulating_factor,
    neg_grad_u,
    neg_grad_u_gamma,
    p_q_softplus,
    power,
    sigmoid,
    softplus,
)
from .interpolated_pt import bce, bce_z


@weighted
def varifocal(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """b times y or 1 for positives, and times α·p^γ for all others."""
    z = with_batch_axes_of(gamma, z)
    modulator = modulating_factor.formula(-z, gamma)
    factor, _ = _factor(y, alpha, modulator, by_y)
    # One cross entropy for both cases, since an exponential takes the most time.
    b = bce.formula(z, y)
    return multiply_no_nan(factor, b)


@varifocal.partial("z")
def varifocal_z(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """The same factor times p − y, and for all others γ·(1 − p)·b beside it."""
    return varifocal_grad(z, held, y, alpha, gamma, by_y)


@varifocal.partial("held")
def varifocal_held(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """0: it is constant."""
    return 0 * z


@varifocal.partial("y")
def varifocal_y(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """b − y·z or −z for positives, and 0 for all others."""
    # b moves by −z with y, and so does the weight if it is y.
    grad = bce(z, y) - y * z if by_y else -z
    # An α or γ that is NaN is in all derivatives, also in those that do not depend on it.
    zeros = _times(alpha, 0 * z)
    zero_or_nan = zeros + 0 * gamma
    return _positives(y) * grad + zero_or_nan


@varifocal.partial("alpha")
def varifocal_alpha(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """0 for positives, and p^γ·b for all others."""
    # The loss is linear in α.
    u = _margin_of_0(z, held)
    others = 1 - _positives(y)
    return others * modulating_factor(u, gamma) * softplus(z)


@varifocal.partial("gamma")
def varifocal_gamma(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """0 for positives, and α·log(p)·p^γ·b for all others."""
    u = _margin_of_0(z, held)
    # The power comes last: it may underflow where the product does not.
    log_times_b = -softplus(u) * softplus(z)
    grad = log_times_b * modulating_factor(u, gamma)
    return (1 - _positives(y)) * _times(alpha, grad)


@closed_form
def varifocal_grad(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """y·(p − y) or p − y for positives, and α·p^γ·(γ·(1 − p)·b + p) for all others."""
    z = with_batch_axes_of(gamma, z)
    # Of the margin −z of class 0.
    p_0, p, b = p_q_softplus(-z)
    base = p if held is None else sigmoid.formula(held)
    factor, others = _factor(y, alpha, power(base, gamma), by_y)
    # p − y without its cancellation.
    grad = (1 - y) * p - y * p_0
    if held is None:
        from_power = gamma * p_0 * b
        grad = grad + others * from_power
    return factor * grad


@varifocal_grad.partial("z")
def varifocal_grad_z(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """p·(1 − p) times y or 1 for positives, and α·∂²(p^γ·b)/∂z² for all others."""
    pq = sigmoid(z) * sigmoid(-z)
    if held is None:
        bend = grad2_u(-z, gamma)
    else:
        bend = modulating_factor(-held, gamma) * pq
    positives = _positives(y)
    of_positives = positives * y if by_y else positives
    # One of the two is 0.
    from_positives = of_positives * pq
    from_others = (1 - positives) * _times(alpha, bend)
    return from_positives + from_others


@varifocal_grad.partial("held")
def varifocal_grad_held(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """0: it is constant."""
    return 0 * z


@varifocal_grad.partial("y")
def varifocal_grad_y(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """p − 2y or −1 for positives, and 0 for all others."""
    # p − y without its cancellation, and y.
    grad = bce_z(z, y) - y if by_y else 0 * z - 1
    return _positives(y) * grad


@varifocal_grad.partial("alpha")
def varifocal_grad_alpha(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """0 for positives, and ∂(p^γ·b)/∂z for all others."""
    if held is None:
        grad = neg_grad_u(-z, gamma)
    else:
        grad = modulating_factor(-held, gamma) * sigmoid(z)
    return (1 - _positives(y)) * grad


@varifocal_grad.partial("gamma")
def varifocal_grad_gamma(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """0 for positives, and α·∂²(p^γ·b)/∂z∂γ for all others."""
    if held is None:
        grad = neg_grad_u_gamma(-z, gamma)
    else:
        # The power comes last: it may underflow where the product does not.
        log_p = -softplus(-held)
        log_times_p = log_p * sigmoid(z)
        grad = log_times_p * modulating_factor(-held, gamma)
    return (1 - _positives(y)) * _times(alpha, grad)


def _positives(y: Array) -> Array:
    """1 for positives, and 0 for all others: (…)."""
    # Targets are in [0, 1].
    return jnp.ceil(y)


def _margin_of_0(z: Array, held: Array | None) -> Array:
    """The margin of class 0 that p^γ is made of."""
    return -z if held is None else -held


def _factor(y: Array, alpha: Number | None, modulator: Array, by_y: bool) -> tuple[Array, Array]:
    """What b is multiplied by, and 1 for all that are no positives, each (…)."""
    positives = _positives(y)
    others = 1 - positives
    of_others = others * _times(alpha, modulator)
    # y is 0 for a negative, and adds nothing.
    of_positives = y if by_y else positives
    return of_others + of_positives, others


def _times(alpha: Number | None, x: Array) -> Array:
    return x if alpha is None else alpha * x

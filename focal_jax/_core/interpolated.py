"""The sigmoid focal loss for soft targets whose p_t and α_t are interpolated between those of the
two classes.

    z    logits         p, q    σ(z) and σ(−z)      m    1 − p_t = y·q + (1 − y)·p
    y    targets        s       softplus(−|z|)      b    −y·log p − (1 − y)·log q, the cross entropy

All have the shape (…) of the logits; α and γ are numbers or have that shape too. Only for y = 0 and
y = 1, with saturated logits, can m underflow; quotients by m then take their limits.
"""

import jax.numpy as jnp
from jax import Array

from .._base.arrays import Number, multiply_no_nan
from .._base.autodiff import closed_form, weighted
from .._base.tracing import with_batch_axes_of
from .focal import p_q_softplus, power, sigmoid
from .interpolated_pt import (
    bce,
    bce_z,
    dlogm_dy,
    log_m,
    m_power,
    p_minus_q,
    pq_over_m,
    qp_bce_over_m,
    quotient,
)


@weighted
def interpolated_focal(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """α_t·m^γ·b: p_t and α_t are interpolated between their values at y = 0 and y = 1."""
    z = with_batch_axes_of(gamma, z)
    large_p, small_p, s = p_q_softplus(jnp.abs(z))
    wrong = wrong_part(z, y)
    factor = power(wrong * large_p + (1 - wrong) * small_p, gamma)
    # A target on the right side of an infinite logit costs nothing.
    b = multiply_no_nan(wrong, jnp.abs(z)) + s
    loss = factor * b
    return multiply_no_nan(alpha_t(y, alpha), loss)


@interpolated_focal.partial("z")
def interpolated_focal_z(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """α_t·∂(m^γ·b)/∂z."""
    return alpha_t(y, alpha) * interpolated_grad_z(z, y, gamma)


@interpolated_focal.partial("y")
def interpolated_focal_y(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """α_t·∂(m^γ·b)/∂y + (2α − 1)·m^γ·b."""
    alpha_t_y = 0 if alpha is None else 2 * alpha - 1
    # ∂ log(m^γ)/∂y·b + ∂b/∂y
    grad = gamma * qp_bce_over_m(z, y) - z
    bracket = alpha_t(y, alpha) * grad + alpha_t_y * bce(z, y)
    return m_power(z, y, gamma) * bracket


@interpolated_focal.partial("alpha")
def interpolated_focal_alpha(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """(2y − 1)·m^γ·b."""
    alpha_t_alpha = 2 * y - 1
    return alpha_t_alpha * m_power(z, y, gamma) * bce(z, y)


@interpolated_focal.partial("gamma")
def interpolated_focal_gamma(z: Array, y: Array, alpha: Number | None, gamma: Number) -> Array:
    """α_t·log(m)·m^γ·b."""
    # The power comes last: it may underflow where the product does not.
    grad = log_m(z, y) * bce(z, y) * m_power(z, y, gamma)
    return alpha_t(y, alpha) * grad


@closed_form
def interpolated_grad_z(z: Array, y: Array, gamma: Number) -> Array:
    """∂(m^γ·b)/∂z = m^γ·(γ·(1 − 2y)·(p·q / m)·b + p − y)."""
    z = with_batch_axes_of(gamma, z)
    large_p, small_p, s = p_q_softplus(jnp.abs(z))
    wrong = wrong_part(z, y)
    m_right = (1 - wrong) * small_p
    m_wrong = wrong * large_p
    m = m_right + m_wrong
    from_power = gamma * (2 * wrong - 1) * large_p * quotient(small_p, m)
    from_power = from_power * (wrong * jnp.abs(z) + s)
    # p − y is the difference of the two parts of m, and does not cancel.
    grad = power(m, gamma) * (from_power + (m_wrong - m_right))
    return jnp.where(z >= 0, grad, -grad)


# The second derivatives below are sums of two terms: the derivative of m^γ times the bracket of the
# formula above, and m^γ times the derivative of the bracket.


@interpolated_grad_z.partial("z")
def interpolated_grad_z_z(z: Array, y: Array, gamma: Number) -> Array:
    """∂²(m^γ·b)/∂z²."""
    sign = 1 - 2 * y
    slope = gamma * sign * pq_over_m(z, y)
    from_power = slope * interpolated_grad_z(z, y, gamma)
    # −∂ log(p·q / m)/∂z
    decay = p_minus_q(z) + sign * pq_over_m(z, y)
    change = bce_z(z, y) - decay * bce(z, y)
    from_slope = slope * change
    from_p = sigmoid(z) * sigmoid(-z)
    return from_power + m_power(z, y, gamma) * (from_slope + from_p)


@interpolated_grad_z.partial("y")
def interpolated_grad_z_y(z: Array, y: Array, gamma: Number) -> Array:
    """∂²(m^γ·b)/∂z∂y."""
    sign = 1 - 2 * y
    from_power = gamma * dlogm_dy(z, y) * interpolated_grad_z(z, y, gamma)
    # −∂(sign·b / m)/∂y, times m
    of_b_over_m = dlogm_dy(z, y) * bce(z, y) + z
    change = 2 * bce(z, y) + sign * of_b_over_m
    from_bracket = gamma * pq_over_m(z, y) * change + 1
    return from_power - m_power(z, y, gamma) * from_bracket


@interpolated_grad_z.partial("gamma")
def interpolated_grad_z_gamma(z: Array, y: Array, gamma: Number) -> Array:
    """∂²(m^γ·b)/∂z∂γ."""
    sign = 1 - 2 * y
    from_power = log_m(z, y) * interpolated_grad_z(z, y, gamma)
    from_bracket = m_power(z, y, gamma) * sign * pq_over_m(z, y) * bce(z, y)
    return from_power + from_bracket


def wrong_part(z: Array, y: Array) -> Array:
    """The part of the target that is on the other side of z: (…)."""
    return jnp.where(z >= 0, 1 - y, y)


def alpha_t(y: Array, alpha: Number | None) -> Number:
    """α for y = 1 and 1 − α for y = 0, linear between; None weights nothing."""
    if alpha is None:
        return 1.0
    return y * alpha + (1 - y) * (1 - alpha)

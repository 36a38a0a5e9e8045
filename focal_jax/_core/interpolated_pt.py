"""1 − p_t of a soft target, which is interpolated between those of the two classes: its powers,
logarithm, quotients.

z    logits (…)      p, q    σ(z) and σ(−z)      m    1 − p_t = y·q + (1 − y)·p
y    targets (…)                                 b    −y·log p − (1 − y)·log q, the cross entropy
"""

import jax.numpy as jnp
from jax import Array, lax

from .._base.arrays import Number, large, multiply_no_nan
from .._base.autodiff import closed_form
from .focal import power, sigmoid, softplus


@closed_form
def bce(z: Array, y: Array) -> Array:
    """b = |z|·(the part of the target on the wrong side of z) + log(1 + exp(−|z|))."""
    a = jnp.abs(z)
    wrong = jnp.where(z >= 0, 1 - y, y)
    # 0·inf where the target is on the right side of an infinite logit.
    linear = multiply_no_nan(wrong, a)
    return linear + softplus(-a)


@bce.partial("z")
def bce_z(z: Array, y: Array) -> Array:
    """p − y, without its cancellation."""
    # p − y = p·(1 − y) − q·y
    return (1 - y) * sigmoid(z) - y * sigmoid(-z)


@bce.partial("y")
def bce_y(z: Array, y: Array) -> Array:
    """log q − log p = −z."""
    return -z


@closed_form
def m_power(z: Array, y: Array, gamma: Number) -> Array:
    """m^γ, also where m underflows and m^γ does not."""
    m = _one_minus_pt(z, y)
    underflows = _underflows(m)
    # There m is exp(−|z|).
    a = jnp.where(underflows, jnp.abs(z), 0).clip(0, large())
    power_of_exp = jnp.exp(-gamma * a)
    return jnp.where(underflows, power_of_exp, power(m, gamma))


@m_power.partial("z")
def m_power_z(z: Array, y: Array, gamma: Number) -> Array:
    """γ·(1 − 2y)·(p·q / m)·m^γ."""
    sign = 1 - 2 * y
    return gamma * sign * pq_over_m(z, y) * m_power(z, y, gamma)


@m_power.partial("y")
def m_power_y(z: Array, y: Array, gamma: Number) -> Array:
    """γ·(∂ log m / ∂y)·m^γ."""
    return gamma * dlogm_dy(z, y) * m_power(z, y, gamma)


@m_power.partial("gamma")
def m_power_gamma(z: Array, y: Array, gamma: Number) -> Array:
    """log(m)·m^γ."""
    return log_m(z, y) * m_power(z, y, gamma)


@closed_form
def log_m(z: Array, y: Array) -> Array:
    """log m, accurate at both ends of (0, 1)."""
    m = _one_minus_pt(z, y)
    pt = _one_minus_pt(-z, y)
    underflows = _underflows(m)
    small = m < pt
    # Every branch is computed, so each has to be finite where another one is taken.
    safe_m = jnp.where(underflows, 1, m)
    log_of_small = jnp.log(safe_m)
    # log m = −log(1 + p_t / m), which loses nothing where m is near 1.
    odds = jnp.where(small, 0, pt) / safe_m
    log = jnp.where(small, log_of_small, -jnp.log1p(odds))
    return jnp.where(underflows, -jnp.abs(z), log)


@log_m.partial("z")
def log_m_z(z: Array, y: Array) -> Array:
    """(1 − 2y)·p·q / m."""
    sign = 1 - 2 * y
    return sign * pq_over_m(z, y)


@log_m.partial("y")
def log_m_y(z: Array, y: Array) -> Array:
    """(q − p) / m."""
    return dlogm_dy(z, y)


@closed_form
def pq_over_m(z: Array, y: Array) -> Array:
    """p·q / m."""
    large_p = lax.logistic(jnp.abs(z))
    small_p = lax.logistic(-jnp.abs(z))
    # The quotient first: where m underflows, so does the smaller of p and q, and it is 1.
    return large_p * quotient(small_p, _one_minus_pt(z, y))


@pq_over_m.partial("z")
def pq_over_m_z(z: Array, y: Array) -> Array:
    """−(p·q / m)·(p − q + (1 − 2y)·p·q / m)."""
    sign = 1 - 2 * y
    decay = p_minus_q(z) + sign * pq_over_m(z, y)
    return -pq_over_m(z, y) * decay


@pq_over_m.partial("y")
def pq_over_m_y(z: Array, y: Array) -> Array:
    """−(p·q / m)·(q − p) / m."""
    return -pq_over_m(z, y) * dlogm_dy(z, y)


@closed_form
def dlogm_dy(z: Array, y: Array) -> Array:
    """(q − p) / m = ∂ log m / ∂y."""
    m = _one_minus_pt(z, y)
    # Of a scalar of numpy, a product with a float would be float64 before numpy 2.
    smallest = 1e4 * float(jnp.finfo(m.dtype).tiny)
    # Its square, which a second derivative has, is not to overflow.
    clamped = jnp.maximum(m, smallest)
    return jnp.where(_underflows(m), 0, -p_minus_q(z) / clamped)


@dlogm_dy.partial("z")
def dlogm_dy_z(z: Array, y: Array) -> Array:
    """−(p·q / m)·(2 + (1 − 2y)·(q − p) / m)."""
    sign = 1 - 2 * y
    change = 2 + sign * dlogm_dy(z, y)
    return -pq_over_m(z, y) * change


@dlogm_dy.partial("y")
def dlogm_dy_y(z: Array, y: Array) -> Array:
    """−((q − p) / m)²."""
    return -dlogm_dy(z, y) * dlogm_dy(z, y)


@closed_form
def qp_bce_over_m(z: Array, y: Array) -> Array:
    """(q − p)·b / m, where b / m stays finite although 1 / m does not."""
    b_over_m = quotient(bce(z, y), _one_minus_pt(z, y))
    return -p_minus_q(z) * b_over_m


@qp_bce_over_m.partial("z")
def qp_bce_over_m_z(z: Array, y: Array) -> Array:
    """((q − p) / m)·∂b/∂z − (p·q / m)·(2b + (1 − 2y)·(q − p)·b / m)."""
    sign = 1 - 2 * y
    change = 2 * bce(z, y) + sign * qp_bce_over_m(z, y)
    from_b = dlogm_dy(z, y) * bce_z(z, y)
    return from_b - pq_over_m(z, y) * change


@qp_bce_over_m.partial("y")
def qp_bce_over_m_y(z: Array, y: Array) -> Array:
    """−((q − p) / m)·(z + (q − p)·b / m)."""
    change = z + qp_bce_over_m(z, y)
    return -dlogm_dy(z, y) * change


def p_minus_q(z: Array) -> Array:
    """p − q = tanh(z / 2)."""
    return jnp.tanh(z / 2)


def _one_minus_pt(z: Array, y: Array) -> Array:
    """m, and for −z the probability p_t."""
    q = lax.logistic(-z)
    p = lax.logistic(z)
    # Never 1 − p: a sum of what is positive keeps its relative accuracy.
    return y * q + (1 - y) * p


def _underflows(m: Array) -> Array:
    # Numbers below are rounded to fewer digits, or flushed to 0.
    return m < jnp.finfo(m.dtype).tiny


def quotient(x: Array, m: Array) -> Array:
    """x / m, and its limit 1 where m underflows."""
    underflows = _underflows(m)
    # Both branches are computed, so the quotient has to be finite where it is not taken.
    safe_m = jnp.where(underflows, 1, m)
    return jnp.where(underflows, 1, x / safe_m)

"""The loss of class 0 with a shifted probability, x^γ·(−log(1 − x)) with x = max(p − m, 0).

    z    logits (…)        p, q    σ(z) and σ(−z)        m    the shift, a number in (0, 1)
    w    1 − x = q + m     s       −log w

Where p ≤ m, x is 0, and so are the loss and all its derivatives. For large logits x is 1 − m: the
loss has the limit (1 − m)^γ·(−log m), and its slope the limit 0.
"""

import jax.numpy as jnp
from jax import Array, lax

from .._base.arrays import Number
from .._base.autodiff import closed_form
from .._base.tracing import with_batch_axes_of
from .focal import power
from .interpolated_pt import p_minus_q


@closed_form
def shifted_focal(z: Array, gamma: Number, shift: float) -> Array:
    """x^γ·s."""
    z = with_batch_axes_of(gamma, z)
    return shifted_focal_of(lax.logistic(z), lax.logistic(-z), gamma, shift)


def shifted_focal_of(p: Array, q: Array, gamma: Number, shift: float) -> Array:
    """The same, of p and q (…) that are at hand."""
    x, w = _x_w(p, q, shift)
    return power(x, gamma) * _neg_log(x, w)


@shifted_focal.partial("z")
def shifted_focal_z(z: Array, gamma: Number, shift: float) -> Array:
    """x^γ·(γ·s·p·q / x + p·q / w)."""
    # A form of its own, since its derivative is written down.
    return shifted_grad(z, gamma, shift)


@shifted_focal.partial("gamma")
def shifted_focal_gamma(z: Array, gamma: Number, shift: float) -> Array:
    """log(x)·x^γ·s."""
    log_times_s = log_x(z, shift) * neg_log_w(z, shift)
    # The power comes last: it may underflow where the product does not.
    return log_times_s * x_power(z, gamma, shift)


@closed_form
def shifted_grad(z: Array, gamma: Number, shift: float) -> Array:
    """x^γ·(γ·s·p·q / x + p·q / w): no term is negative, so that nothing cancels."""
    z = with_batch_axes_of(gamma, z)
    p, q, x, w = _p_q_x_w(z, shift)
    pq = p * q
    # s / x goes to 1 where x goes to 0, and there s is 0 before the quotient overflows.
    tiny = float(jnp.finfo(x.dtype).tiny)
    pq_over_x = pq / jnp.maximum(x, tiny)
    from_power = gamma * _neg_log(x, w) * pq_over_x
    bracket = from_power + pq / w
    return _power_inside(x, gamma) * bracket


@shifted_grad.partial("z")
def shifted_grad_z(z: Array, gamma: Number, shift: float) -> Array:
    """x^γ·(γ·(γ − 1)·s·k² + γ·s·k·(q − p) + 2γ·k·t + t·(q − p) + t²) with k = p·q / x and
    t = p·q / w."""
    k = pq_over_x(z, shift)
    t = pq_over_w(z, shift)
    s_k = neg_log_w(z, shift) * k
    # ∂²(x^γ)·s, ∂(x^γ)·∂s twice, and x^γ·∂²s, each without x^γ.
    second = gamma * (gamma - 1)
    of_power = second * s_k * k
    of_both = 2 * gamma * k * t + t * t
    of_pq = (gamma * s_k + t) * p_minus_q(z)
    bracket = of_power + of_both - of_pq
    return x_power(z, gamma, shift) * bracket


@shifted_grad.partial("gamma")
def shifted_grad_gamma(z: Array, gamma: Number, shift: float) -> Array:
    """log(x)·∂(x^γ·s)/∂z + x^γ·s·p·q / x."""
    from_power = log_x(z, shift) * shifted_grad(z, gamma, shift)
    s_k = neg_log_w(z, shift) * pq_over_x(z, shift)
    return from_power + x_power(z, gamma, shift) * s_k


# What derivatives are made of.


@closed_form
def x_power(z: Array, gamma: Number, shift: float) -> Array:
    """x^γ, and 0 where x is 0, for γ = 0 as well."""
    _, _, x, _ = _p_q_x_w(z, shift)
    return _power_inside(x, gamma)


@x_power.partial("z")
def x_power_z(z: Array, gamma: Number, shift: float) -> Array:
    """γ·(p·q / x)·x^γ."""
    return gamma * pq_over_x(z, shift) * x_power(z, gamma, shift)


@x_power.partial("gamma")
def x_power_gamma(z: Array, gamma: Number, shift: float) -> Array:
    """log(x)·x^γ."""
    return log_x(z, shift) * x_power(z, gamma, shift)


@closed_form
def log_x(z: Array, shift: float) -> Array:
    """log x, accurate at both ends of (0, 1), and 0 where x is 0."""
    _, _, x, w = _p_q_x_w(z, shift)
    # log 1 is 0.
    safe_x = jnp.where(x == 0, 1, x)
    # log x = −log(1 + w / x), which loses nothing where x is near 1.
    odds = jnp.where(x < 0.5, 0, w) / safe_x
    log_of_small = jnp.log(safe_x)
    return jnp.where(x < 0.5, log_of_small, -jnp.log1p(odds))


@log_x.partial("z")
def log_x_z(z: Array, shift: float) -> Array:
    """p·q / x."""
    return pq_over_x(z, shift)


@closed_form
def pq_over_x(z: Array, shift: float) -> Array:
    """p·q / x, and 0 where x is 0."""
    p, q, x, _ = _p_q_x_w(z, shift)
    pq = p * q
    # Both branches are computed, so the quotient has to be finite where it is not taken.
    safe_x = jnp.where(x == 0, 1, x)
    return jnp.where(x == 0, 0, pq / safe_x)


@pq_over_x.partial("z")
def pq_over_x_z(z: Array, shift: float) -> Array:
    """−(p·q / x)·(p − q + p·q / x)."""
    # ∂ log(p·q)/∂z is q − p, and ∂ log x/∂z is p·q / x.
    decay = p_minus_q(z) + pq_over_x(z, shift)
    return -pq_over_x(z, shift) * decay


@closed_form
def neg_log_w(z: Array, shift: float) -> Array:
    """s = −log w."""
    _, _, x, w = _p_q_x_w(z, shift)
    return _neg_log(x, w)


@neg_log_w.partial("z")
def neg_log_w_z(z: Array, shift: float) -> Array:
    """p·q / w."""
    return pq_over_w(z, shift)


@closed_form
def pq_over_w(z: Array, shift: float) -> Array:
    """p·q / w, and 0 where x is 0."""
    p, q, x, w = _p_q_x_w(z, shift)
    pq = p * q
    return jnp.where(x == 0, 0, pq / w)


@pq_over_w.partial("z")
def pq_over_w_z(z: Array, shift: float) -> Array:
    """(p·q / w)·(q − p + p·q / w)."""
    # ∂ log(p·q)/∂z is q − p, and ∂ log w/∂z is −p·q / w.
    growth = pq_over_w(z, shift) - p_minus_q(z)
    return pq_over_w(z, shift) * growth


def _p_q_x_w(z: Array, shift: float) -> tuple[Array, Array, Array, Array]:
    """p, q, x and w, each (…)."""
    p = lax.logistic(z)
    q = lax.logistic(-z)
    return p, q, *_x_w(p, q, shift)


def _x_w(p: Array, q: Array, shift: float) -> tuple[Array, Array]:
    """x and w, each (…)."""
    # The difference of the smaller numbers: what it loses are their last digits.
    above = (1 - shift) - q if shift > 0.5 else p - shift
    return jnp.maximum(above, 0), q + shift


def _power_inside(x: Array, gamma: Number) -> Array:
    """x^γ, and 0 where x is 0."""
    x_to_gamma = power(x, gamma)
    if not isinstance(gamma, Array) and gamma > 0:
        return x_to_gamma
    # 0⁰ is 1. A γ that is NaN stays it.
    return jnp.where(x == 0, 0 * gamma, x_to_gamma)


def _neg_log(x: Array, w: Array) -> Array:
    """−log w from x = 1 − w."""
    # 1/w = 1 + x / w, which loses nothing where w is near 1.
    return jnp.log1p(x / w)

"""The distance |p − y| of a probability from a number y: its powers, logarithm, quotients.

    z    logits (…)      p, q    σ(z) and σ(−z)      d    p − y = (1 − y)·p − y·q
    y    targets (…)     r       |d|                 b    −y·log p − (1 − y)·log q

For y = 0 and y = 1, r is p or q and can underflow; quotients by it then take their limits. For any
other y it can be 0. There quotients by it are cut off, at what is left of r by rounding alone.
"""

import jax.numpy as jnp
from jax import Array, lax

from .._base.arrays import Number, large
from .._base.autodiff import closed_form
from .focal import power, sigmoid
from .interpolated_pt import bce, p_minus_q, quotient


@closed_form
def r_power(z: Array, y: Array, gamma: Number, cut_off: bool) -> Array:
    """r^γ, also where r underflows and r^γ does not. With `cut_off` and a γ of up to 2 it is not 0
    at p = y, so that products with two quotients by r have their limits."""
    r = _r(z, y)
    underflows = _underflows_as_exp(z, y, r)
    # There r is exp(−|z|).
    a = jnp.where(underflows, jnp.abs(z), 0).clip(0, large())
    power_of_exp = jnp.exp(-gamma * a)
    base = _base(z, r, gamma) if cut_off else r
    return jnp.where(underflows, power_of_exp, power(base, gamma))


@r_power.partial("z")
def r_power_z(z: Array, y: Array, gamma: Number, cut_off: bool) -> Array:
    """γ·(p·q / d)·r^γ."""
    r_to_gamma = r_power(z, y, gamma, cut_off)
    return gamma * pq_over_d(z, y) * r_to_gamma


@r_power.partial("y")
def r_power_y(z: Array, y: Array, gamma: Number, cut_off: bool) -> Array:
    """−(γ / d)·r^γ."""
    r_to_gamma = r_power(z, y, gamma, cut_off)
    return -gamma * inverse_d(z, y) * r_to_gamma


@r_power.partial("gamma")
def r_power_gamma(z: Array, y: Array, gamma: Number, cut_off: bool) -> Array:
    """log(r)·r^γ."""
    return log_r(z, y) * r_power(z, y, gamma, cut_off)


@closed_form
def log_r(z: Array, y: Array) -> Array:
    """log r, accurate at both ends of (0, 1), and finite at p = y."""
    r = _r(z, y)
    p = lax.logistic(z)
    q = lax.logistic(-z)
    # 1 − r, as a sum of what is positive.
    rest = jnp.where(_is_below(z, y), p + (1 - y), q + y)
    # Every branch is computed, so each has to be finite where another one is taken.
    safe_r = jnp.maximum(r, _tiny(r))
    small = r < 0.5
    log_of_small = jnp.log(safe_r)
    # log r = −log(1 + (1 − r) / r), which loses nothing where r is near 1.
    odds = jnp.where(small, 0, rest) / safe_r
    log = jnp.where(small, log_of_small, -jnp.log1p(odds))
    underflows = _underflows_as_exp(z, y, r)
    return jnp.where(underflows, -jnp.abs(z), log)


@log_r.partial("z")
def log_r_z(z: Array, y: Array) -> Array:
    """p·q / d."""
    return pq_over_d(z, y)


@log_r.partial("y")
def log_r_y(z: Array, y: Array) -> Array:
    """−1 / d."""
    return -inverse_d(z, y)


@closed_form
def pq_over_d(z: Array, y: Array) -> Array:
    """p·q / d."""
    a = jnp.abs(z)
    large_p = lax.logistic(a)
    small_p = lax.logistic(-a)
    r = _cut_off(z, _r(z, y))
    # The quotient first: where r underflows, so does the smaller of p and q, and it is 1.
    k = large_p * quotient(small_p, r)
    return jnp.where(_is_below(z, y), -k, k)


@pq_over_d.partial("z")
def pq_over_d_z(z: Array, y: Array) -> Array:
    """−(p·q / d)·(p − q + p·q / d)."""
    k = pq_over_d(z, y)
    # ∂ log(p·q)/∂z is q − p, and ∂ log d/∂z is p·q / d.
    decay = p_minus_q(z) + k
    return -k * decay


@pq_over_d.partial("y")
def pq_over_d_y(z: Array, y: Array) -> Array:
    """(p·q / d) / d."""
    return pq_over_d(z, y) * inverse_d(z, y)


@closed_form
def inverse_d(z: Array, y: Array) -> Array:
    """1 / d, and 0 where r underflows for a y of 0 or 1."""
    r = _r(z, y)
    # Its square, which a second derivative has, is not to overflow.
    smallest = 1e4 * _tiny(r)
    inverse_r = 1 / jnp.maximum(_cut_off(z, r), smallest)
    inverse = jnp.where(_is_below(z, y), -inverse_r, inverse_r)
    return jnp.where(_underflows_as_exp(z, y, r), 0, inverse)


@inverse_d.partial("z")
def inverse_d_z(z: Array, y: Array) -> Array:
    """−(p·q / d) / d."""
    return -pq_over_d(z, y) * inverse_d(z, y)


@inverse_d.partial("y")
def inverse_d_y(z: Array, y: Array) -> Array:
    """1 / d²."""
    inverse = inverse_d(z, y)
    return inverse * inverse


@closed_form
def bce_over_d(z: Array, y: Array) -> Array:
    """b / d, where b / r stays finite although 1 / r does not."""
    b = bce(z, y)
    b_over_r = quotient(b, _cut_off(z, _r(z, y)))
    return jnp.where(_is_below(z, y), -b_over_r, b_over_r)


@bce_over_d.partial("z")
def bce_over_d_z(z: Array, y: Array) -> Array:
    """1 − (p·q / d)·b / d."""
    return 1 - pq_over_d(z, y) * bce_over_d(z, y)


@bce_over_d.partial("y")
def bce_over_d_y(z: Array, y: Array) -> Array:
    """(b / d − z) / d."""
    change = bce_over_d(z, y) - z
    return inverse_d(z, y) * change


@closed_form
def d_of(z: Array, y: Array) -> Array:
    """d, which does not cancel where y is 0 or 1."""
    above = (1 - y) * lax.logistic(z)
    below = y * lax.logistic(-z)
    return above - below


@d_of.partial("z")
def d_z(z: Array, y: Array) -> Array:
    """p·q."""
    return sigmoid(z) * sigmoid(-z)


@d_of.partial("y")
def d_y(z: Array, y: Array) -> Array:
    """−1."""
    return 0 * z - 1


def least_r(p: Array, q: Array) -> Array:
    """Where p·q / r is cut off: (…)."""
    # r is a difference of two numbers of about this size times 1 / eps.
    eps = float(jnp.finfo(p.dtype).eps)
    return p * (eps * q)


def _base(z: Array, r: Array, gamma: Number) -> Array:
    """r, cut off where its power does not vanish faster than two quotients by it grow: (…)."""
    if isinstance(gamma, Array):
        return jnp.where(gamma <= 2, _cut_off(z, r), r)
    return _cut_off(z, r) if gamma <= 2 else r


def _cut_off(z: Array, r: Array) -> Array:
    """r, but no less than that: (…)."""
    p = lax.logistic(z)
    q = lax.logistic(-z)
    return jnp.maximum(r, least_r(p, q))


def _is_below(z: Array, y: Array) -> Array:
    """Whether p < y: (…)."""
    # For y = 1 it is, where d underflows, too. At p = y either answer will do: what the sign
    # multiplies is 0, or has it squared.
    return (d_of(z, y) < 0) | (y == 1)


def _r(z: Array, y: Array) -> Array:
    return jnp.abs(d_of.formula(z, y))


def _underflows_as_exp(z: Array, y: Array, r: Array) -> Array:
    """Where y is 0 or 1, on the side of z, and r is too small for its dtype: (…)."""
    wrong = jnp.where(z >= 0, 1 - y, y)
    is_hard = wrong < _tiny(r)
    return (r < _tiny(r)) & is_hard


def _tiny(x: Array) -> float:
    """The smallest number that is not rounded to fewer digits, or flushed to 0."""
    return float(jnp.finfo(x.dtype).tiny)

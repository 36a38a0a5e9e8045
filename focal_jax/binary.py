"""Binary losses with α: for hard targets, and for soft targets by two rules.

The notation is p = σ(z), q = σ(−z), m = 1 − p_t = y·q + (1 − y)·p and b = −y·log p − (1 − y)·log q. For y = 1 and
y = 0 both rules are the hard loss. Only there, with saturated logits, can m underflow; the quotients by m then take
their limits.
"""
# A partial derivative refers to the function that it stands above, which pyright takes for a circle.
# pyright: reportGeneralTypeIssues=false

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from .arrays import far, share
from .engine import for_each
from .margin import focal, focal_descent, focal_per_gamma, parts, power, sigmoid, softplus
from .rules import closed_form, weighted


@weighted(
    lambda z, y, alpha, gamma: (
        _by_class(z, y, -_positive(alpha), _negative(alpha)) * focal_descent(_margin(z, y), gamma)
    ),
    None,
    lambda z, y, alpha, gamma: _by_class(z, y, 1.0, -1.0) * focal(_margin(z, y), gamma),
    lambda z, y, alpha, gamma: (
        _by_class(z, y, _positive(alpha), _negative(alpha)) * focal_per_gamma(_margin(z, y), gamma)
    ),
)
def hard_focal(z: Array, y: Array, alpha: Any, gamma: Any) -> Array:
    """α_t·f(±z; γ), equation (5), for boolean or integer targets."""
    loss = focal(_margin(z, y), gamma)
    if alpha is None:
        return loss
    weight = _by_class(z, y, alpha, 1 - alpha)
    # A number between 0 and 1 makes no 0·inf, and is spared its passes.
    return share(weight, loss) if isinstance(alpha, Array) or alpha in (0, 1) else weight * loss


def _margin(z: Array, y: Array) -> Array:
    return jnp.where(y, z, -z) if y.dtype == jnp.bool_ else z * (2 * _bit(z, y) - 1)


def _by_class(z: Array, y: Array, positive: Any, negative: Any) -> Array:
    if y.dtype != jnp.bool_:
        # XLA for TPUs would store the mask that value and gradient share.
        y = _bit(z, y)
        return y * positive + (1 - y) * negative
    one, zero = (x if isinstance(x, Array) else jnp.full((), x, z.dtype) for x in (positive, negative))
    return jnp.where(y, one, zero)


def _bit(z: Array, y: Array) -> Array:
    """0 or 1, which all integers but 0 count as, in the dtype of z."""
    return jnp.minimum(jnp.abs(y), 1).astype(z.dtype)


def _positive(alpha: Any) -> Any:
    return 1.0 if alpha is None else alpha


def _negative(alpha: Any) -> Any:
    return 1.0 if alpha is None else 1 - alpha


@weighted(
    lambda z, y, alpha, gamma: alpha_t(y, alpha) * interpolated_slope(z, y, gamma),
    lambda z, y, alpha, gamma: (
        miss_power(z, y, gamma)
        * (alpha_t(y, alpha) * (gamma * pull(z, y) - z) + (0 if alpha is None else 2 * alpha - 1) * bce(z, y))
    ),
    lambda z, y, alpha, gamma: (2 * y - 1) * miss_power(z, y, gamma) * bce(z, y),
    lambda z, y, alpha, gamma: alpha_t(y, alpha) * (miss_log(z, y) * bce(z, y) * miss_power(z, y, gamma)),
)
def interpolated_focal(z: Array, y: Array, alpha: Any, gamma: Any) -> Array:
    """α_t·m^γ·b: p_t and α_t are interpolated between their values at y = 0 and y = 1."""
    z = for_each(gamma, z)
    _, large, small, s, wrong = _sides(z, y)
    loss = power(wrong * large + (1 - wrong) * small, gamma) * (share(wrong, jnp.abs(z)) + s)
    return share(alpha_t(y, alpha), loss)


@closed_form(
    lambda z, y, gamma: (
        gamma * (1 - 2 * y) * overlap(z, y) * interpolated_slope(z, y, gamma)
        + miss_power(z, y, gamma)
        * (
            gamma
            * (1 - 2 * y)
            * overlap(z, y)
            * (bce_slope(z, y) - (_lead(z) + (1 - 2 * y) * overlap(z, y)) * bce(z, y))
            + sigmoid(z) * sigmoid(-z)
        )
    ),
    lambda z, y, gamma: (
        gamma * tilt(z, y) * interpolated_slope(z, y, gamma)
        - miss_power(z, y, gamma)
        * (gamma * overlap(z, y) * (2 * bce(z, y) + (1 - 2 * y) * (tilt(z, y) * bce(z, y) + z)) + 1)
    ),
    lambda z, y, gamma: (
        miss_log(z, y) * interpolated_slope(z, y, gamma)
        + miss_power(z, y, gamma) * (1 - 2 * y) * overlap(z, y) * bce(z, y)
    ),
)
def interpolated_slope(z: Array, y: Array, gamma: Any) -> Array:
    """m^γ·(γ·(1 − 2y)·(p·q / m)·b + p − y) = ∂(m^γ·b)/∂z."""
    z = for_each(gamma, z)
    sign, large, small, s, wrong = _sides(z, y)
    right_miss, wrong_miss = (1 - wrong) * small, wrong * large
    m = right_miss + wrong_miss
    bend = gamma * (2 * wrong - 1) * large * _quotient(small, m) * (wrong * jnp.abs(z) + s)
    return sign * power(m, gamma) * (bend + (wrong_miss - right_miss))


def _sides(z: Array, y: Array) -> tuple[Array, ...]:
    """The sign of z, σ(|z|), σ(−|z|), s = softplus(−|z|), and the share of the target on the other side of z."""
    right = z >= 0
    return jnp.where(right, jnp.ones_like(z), -jnp.ones_like(z)), *parts(jnp.abs(z)), jnp.where(right, 1 - y, y)


@weighted(
    lambda z, y, alpha, gamma: (
        (1 - y) * _negative(alpha) * focal_descent(-z, gamma) - y * _positive(alpha) * focal_descent(z, gamma)
    ),
    lambda z, y, alpha, gamma: _positive(alpha) * focal(z, gamma) - _negative(alpha) * focal(-z, gamma),
    lambda z, y, alpha, gamma: y * focal(z, gamma) - (1 - y) * focal(-z, gamma),
    lambda z, y, alpha, gamma: (
        y * _positive(alpha) * focal_per_gamma(z, gamma) + (1 - y) * _negative(alpha) * focal_per_gamma(-z, gamma)
    ),
)
def mixture_focal(z: Array, y: Array, alpha: Any, gamma: Any) -> Array:
    """y·α·f(z) + (1 − y)·(1 − α)·f(−z): the expected loss when y is a probability."""
    positive = share(y * _positive(alpha), focal(z, gamma))
    return positive + share((1 - y) * _negative(alpha), focal(-z, gamma))


def alpha_t(y: Array, alpha: Any) -> Any:
    """α for y = 1 and 1 − α for y = 0, linear between; None weights nothing."""
    return 1.0 if alpha is None else y * alpha + (1 - y) * (1 - alpha)


@closed_form(lambda z, y: bce_slope(z, y), lambda z, y: -z)
def bce(z: Array, y: Array) -> Array:
    """b = |z|·(the target's share on the wrong side of z) + log(1 + exp(−|z|))."""
    return share(jnp.where(z >= 0, 1 - y, y), jnp.abs(z)) + softplus(-jnp.abs(z))


def bce_slope(z: Array, y: Array) -> Array:
    """∂b/∂z = p − y, without its cancellation."""
    return (1 - y) * sigmoid(z) - y * sigmoid(-z)


@closed_form(
    lambda z, y, gamma: gamma * (1 - 2 * y) * overlap(z, y) * miss_power(z, y, gamma),
    lambda z, y, gamma: gamma * tilt(z, y) * miss_power(z, y, gamma),
    lambda z, y, gamma: miss_log(z, y) * miss_power(z, y, gamma),
)
def miss_power(z: Array, y: Array, gamma: Any) -> Array:
    """m^γ, also where m underflows and m^γ does not."""
    m = _miss(z, y)
    gone = _vanishes(m)
    return jnp.where(gone, jnp.exp(-gamma * jnp.where(gone, jnp.abs(z), 0).clip(0, far())), power(m, gamma))


@closed_form(lambda z, y: (1 - 2 * y) * overlap(z, y), lambda z, y: tilt(z, y))
def miss_log(z: Array, y: Array) -> Array:
    """log m, accurate at both ends of (0, 1)."""
    m, hit = _miss(z, y), _miss(-z, y)
    gone, low = _vanishes(m), m < hit
    log = jnp.where(low, jnp.log(jnp.where(gone, 1, m)), -jnp.log1p(jnp.where(low, 0, hit) / jnp.where(gone, 1, m)))
    return jnp.where(gone, -jnp.abs(z), log)


@closed_form(
    lambda z, y: -overlap(z, y) * (_lead(z) + (1 - 2 * y) * overlap(z, y)),
    lambda z, y: -overlap(z, y) * tilt(z, y),
)
def overlap(z: Array, y: Array) -> Array:
    """p·q / m."""
    return lax.logistic(jnp.abs(z)) * _quotient(lax.logistic(-jnp.abs(z)), _miss(z, y))


@closed_form(
    lambda z, y: -overlap(z, y) * (2 + (1 - 2 * y) * tilt(z, y)),
    lambda z, y: -tilt(z, y) * tilt(z, y),
)
def tilt(z: Array, y: Array) -> Array:
    """(q − p) / m = ∂ log m / ∂y."""
    m = _miss(z, y)
    # Of a scalar of numpy, a product with a float would be float64 before numpy 2.
    least = 1e4 * float(jnp.finfo(m.dtype).tiny)
    return jnp.where(_vanishes(m), 0, -_lead(z) / jnp.maximum(m, least))


@closed_form(
    lambda z, y: tilt(z, y) * bce_slope(z, y) - overlap(z, y) * (2 * bce(z, y) + (1 - 2 * y) * pull(z, y)),
    lambda z, y: -tilt(z, y) * (z + pull(z, y)),
)
def pull(z: Array, y: Array) -> Array:
    """(q − p)·b / m, where b / m stays finite although 1 / m does not."""
    return -_lead(z) * _quotient(bce(z, y), _miss(z, y))


def _lead(z: Array) -> Array:
    """p − q."""
    return jnp.tanh(z / 2)


def _miss(z: Array, y: Array) -> Array:
    return y * lax.logistic(-z) + (1 - y) * lax.logistic(z)


def _vanishes(m: Array) -> Array:
    return m < jnp.finfo(m.dtype).tiny


def _quotient(x: Array, m: Array) -> Array:
    gone = _vanishes(m)
    return jnp.where(gone, 1, x / jnp.where(gone, 1, m))

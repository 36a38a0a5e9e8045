"""Margins and losses over classes, which stand on the last axis.

The margin of class c is u_c = z_c − log Σ_{k≠c} exp(z_k). Leaving c out of the sum, instead of forming
1 − exp(log p_c), keeps every margin accurate and turns the softmax loss into the same f as the sigmoid loss.
"""
# A partial derivative refers to the function that it stands above, which pyright takes for a circle.
# pyright: reportGeneralTypeIssues=false

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from .arrays import far, keep, near, share, widen
from .margin import focal, focal_descent, focal_per_gamma
from .rows import is_class, margin, softmax_others
from .rules import weighted


def id_focal(
    z: Array, t: Array, alpha: Any, gamma: Any, smoothing: float, *, weight: Array | None, where: Array | None
) -> Array:
    """α_t·f(u_t; γ_t) for class ids t, given with a class axis of length 1; NaN where t is no class of z."""
    if smoothing:
        loss = class_focal(z, widen(one_hot(z, t)), alpha, gamma, smoothing, weight=weight, where=where)
    else:
        loss = _id_focal(z, t, alpha, gamma, weight=weight, where=where)
    unknown = keep(where, ((t < 0) | (t >= z.shape[-1]))[..., 0])
    return jnp.where(unknown, jnp.nan, loss)


def _id_focal(z: Array, t: Array, alpha: Any, gamma: Any, *, weight: Array | None, where: Array | None) -> Array:
    alpha, gamma = (keep(where, _of_class(x, t)) for x in (alpha, gamma))
    loss = share(alpha, focal(margin(z, t, where), gamma))
    return keep(where, loss if weight is None else share(keep(where, weight), loss))


def _of_class(x: Any, t: Array) -> Any:
    """The entry of class t of a constant, of one value per class, or of an array with the class axis last."""
    if not isinstance(x, Array):
        return x
    if x.ndim == 1:
        return x[t[..., 0].clip(0, x.size - 1)]
    t = t.clip(0, x.shape[-1] - 1)
    return jnp.take_along_axis(jnp.broadcast_to(x, (*t.shape[:-1], x.shape[-1])), t, -1)[..., 0]


def one_hot(z: Array, t: Array) -> Array:
    return is_class(z, t).astype(z.dtype)


def _maximum(z: Array) -> Array:
    """The shift that keeps exp(z − shift) in range. All uses are invariant under it, so it has no derivative."""
    maximum = lax.stop_gradient(z.max(-1, keepdims=True))
    return jnp.where(jnp.isfinite(maximum), maximum, 0)


@weighted(
    lambda z, y, alpha, gamma: _slope(z, y, alpha, gamma),
    lambda z, y, alpha, gamma: alpha * focal(_finite(_margins(z), z), gamma),
    lambda z, y, alpha, gamma: y * focal(_finite(_margins(z), z), gamma),
    lambda z, y, alpha, gamma: y * alpha * focal_per_gamma(_finite(_margins(z), z), gamma),
)
def _class_focal(z: Array, y: Array, alpha: Any, gamma: Any) -> Array:
    return share(y * alpha, focal(_margins(z), gamma)).sum(-1)


def class_focal(
    z: Array, y: Array, alpha: Any, gamma: Any, smoothing: float, *, weight: Array | None, where: Array | None
) -> Array:
    """Σ_c y_c·α_c·f(u_c; γ_c) for class probabilities y, mixed with the uniform distribution by `smoothing`."""
    if smoothing:
        y = y * (1 - smoothing) + smoothing / y.shape[-1]
    alpha, gamma = (jnp.broadcast_to(x, z.shape) if isinstance(x, Array) else x for x in (alpha, gamma))
    return _class_focal(z, y, alpha, gamma, weight=weight, where=where)


def _finite(u: Array, z: Array) -> Array:
    """Margins for a closed form, which sees ±inf as ±1e30: NaN if two logits are inf, or all −inf, so that nothing
    is known about u."""
    top = z.max(-1)
    unknown = ((z >= far()).sum(-1) > 1) | (top <= -far())
    return jnp.where(unknown if unknown.ndim == u.ndim else unknown[..., None], jnp.nan, near(u))


def _margins(z: Array) -> Array:
    """u_c of every class. Only the largest logit can dominate the sum that it must be left out of, so only there
    a subtraction would cancel."""
    top, _, rest = _leave_one_out(z)
    return jnp.where(top, margin(z, _argmax(z))[..., None], z - _maximum(z) - jnp.log(rest))


def _slope(z: Array, y: Array, alpha: Any, gamma: Any) -> Array:
    """∂/∂z_k = a_k − Σ_{c≠k} a_c·softmax_{j≠c}(z)_k with a_c = y_c·α_c·f′(u_c)."""
    top_id = _argmax(z)
    top, powers, rest = _leave_one_out(z)
    slope = -y * alpha * focal_descent(_finite(_margins(z), z), gamma)
    slope_top = jnp.where(top, slope, 0).sum(-1, keepdims=True)
    scaled = jnp.where(top, 0, slope / rest)
    below_top = powers * (scaled.sum(-1, keepdims=True) - scaled)
    return slope - jnp.where(top, 0, slope_top * softmax_others(z, top_id)) - below_top


def _leave_one_out(z: Array) -> tuple[Array, Array, Array]:
    """The mask of the largest logit, w = exp(z − max), and Σ_{k≠c} w_k for every other c."""
    top = is_class(z, _argmax(z))
    powers = jnp.exp(z - _maximum(z))
    return top, powers, jnp.where(top, 1, powers.sum(-1, keepdims=True) - jnp.where(top, 0, powers))


def _argmax(z: Array) -> Array:
    return lax.stop_gradient(z.argmax(-1, keepdims=True))

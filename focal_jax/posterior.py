"""Class probabilities from the logits of a model that was trained with focal loss."""

import jax.numpy as jnp
from jax import Array

from ._base.arrays import Number, clamp_infinities, compute_dtype
from ._base.autodiff import closed_form
from ._base.collectives import ALONE
from ._base.loss_arguments import LossArguments
from ._base.ranges import NONNEGATIVE
from ._core.focal import sigmoid, softplus
from ._core.softmax import margins


def posterior_from_focal(
    logits: Array, gamma: float | Array = 2.0, *, axis: int | None = None
) -> Array:
    """Class probabilities from the logits of a model that was trained with focal loss.

    The loss is least where its scores q are not the probabilities η, but where η_c·φ(q_c) / q_c is
    the same for all classes. Of two classes they are flatter than η, of many they may be either. So

        η_c = h(q_c) / Σ_k h(q_k)    with    h(q) = q / φ(q)
        φ(q) = (1 − q)^γ − γ·(1 − q)^(γ−1)·q·log q

    The order of the classes stays. γ = 0 is the softmax or the sigmoid itself.

    Args:
        logits: What the model returns, of any shape and any floating dtype.
        gamma: The γ ≥ 0 that it was trained with: a number, or an array that broadcasts to the
            shape of `logits`.
        axis: The axis of the classes of a softmax. None: each logit is that of a sigmoid.

    Returns:
        Probabilities in the shape and dtype of `logits`. α is not undone.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: `axis` is no axis of `logits`, or γ is negative, where it is known.

    Examples:
        >>> import jax.numpy as jnp
        >>> [f"{x:.4f}" for x in posterior_from_focal(jnp.array([0.0, 1.0, 2.0]), 2.0)]
        ['0.5000', '0.9359', '0.9955']

    References:
        Charoenphakdee, Vongkulbhisal, Chairatanakul, Sugiyama: On Focal Loss for Class-Posterior
        Probability Estimation: A Theoretical Perspective, 2021, arXiv:2011.09172, Theorem 11.
    """
    arguments = LossArguments("posterior_from_focal")
    logits = arguments.floating("logits", logits)
    shape, dtype = tuple(logits.shape), compute_dtype(logits)
    gamma = arguments.per_element("gamma", gamma, shape, NONNEGATIVE, dtype)
    z = logits.astype(dtype)
    if axis is None:
        return _of_sigmoid(clamp_infinities(z), gamma).astype(logits.dtype)
    axis = arguments.axis(axis, logits)
    u = margins(jnp.moveaxis(z, axis, -1), ALONE)
    u = jnp.moveaxis(u, -1, axis)
    return _of_softmax(clamp_infinities(u), gamma, axis).astype(logits.dtype)


def _of_sigmoid(z: Array, gamma: Number) -> Array:
    """η (…) of logits (…): its odds are h(p) / h(q)."""
    log_odds = _log_h(z, gamma) - _log_h(-z, gamma)
    return sigmoid(log_odds)


def _of_softmax(u: Array, gamma: Number, axis: int) -> Array:
    """η of margins u, which have their classes on an axis."""
    log_h = _log_h(u, gamma)
    # As for every softmax: a common factor cancels, and would overflow.
    largest = log_h.max(axis, keepdims=True)
    h = jnp.exp(log_h - largest)
    return h / h.sum(axis, keepdims=True)


@closed_form
def _log_h(u: Array, gamma: Number) -> Array:
    """log h(q) of q = σ(u), which is γ·softplus(u) − softplus(−u) − log(1 + γ·r)."""
    of_phi = jnp.log1p(gamma * _ratio(u))
    return gamma * softplus(u) - softplus(-u) - of_phi


@_log_h.partial("u")
def _log_h_u(u: Array, gamma: Number) -> Array:
    """γ·σ(u) + σ(−u) − γ·(r − σ(u)) / (1 + γ·r)."""
    ratio, p = _ratio(u), sigmoid(u)
    return gamma * p + sigmoid(-u) - gamma * (ratio - p) / (1 + gamma * ratio)


@_log_h.partial("gamma")
def _log_h_gamma(u: Array, gamma: Number) -> Array:
    """softplus(u) − r / (1 + γ·r)."""
    ratio = _ratio(u)
    return softplus(u) - ratio / (1 + gamma * ratio)


@closed_form
def _ratio(u: Array) -> Array:
    """r = −log(q)·q / (1 − q) = exp(u)·softplus(−u), which is between 0 and 1, in terms that do not
    overflow."""
    small = jnp.exp(-jnp.abs(u))
    log = softplus(-jnp.abs(u))
    # Its limit is 1 where exp(−u) underflows.
    safe_small = jnp.where(small > 0, small, 1)
    positive = jnp.where(small > 0, log / safe_small, 1)
    negative = small * (log - jnp.minimum(u, 0))
    return jnp.where(u > 0, positive, negative)


@_ratio.partial("u")
def _ratio_u(u: Array) -> Array:
    """r − σ(u)."""
    return _ratio(u) - sigmoid(u)

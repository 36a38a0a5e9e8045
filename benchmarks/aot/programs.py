"""The functions that are compiled: what a case computes, of our losses and of those that they stand
beside."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

import focal_jax

from .cases import Case

Loss = Callable[..., Array]


def program(case: Case) -> Callable[..., Any]:
    """A function of the logits, and of all other arguments by their names."""
    loss = partial(LOSSES[case.by, case.loss], reduction=case.reduction)
    if case.loss in ("sigmoid", "quality") and not case.per_class:
        loss = partial(loss, alpha=0.25)
    if case.run == "vmap":
        return partial(_over_gamma, loss)
    function = loss if case.run == "forward" else partial(_both, loss)
    return partial(function, gamma=case.gamma)


def _both(loss: Loss, logits: Array, cotangent: Array | None = None, **settings: Any) -> Any:
    """Value and gradient."""
    if cotangent is None:
        return jax.value_and_grad(loss)(logits, **settings)
    value, pull = jax.vjp(lambda logits: loss(logits, **settings), logits)
    return value, *pull(cotangent)


def _over_gamma(loss: Loss, logits: Array, *, gamma: Array, **arrays: Array) -> Any:
    return jax.vmap(lambda gamma: _both(loss, logits, gamma=gamma, **arrays))(gamma)


def _optax(logits: Array, targets: Array, *, alpha: float, gamma: float, reduction: str) -> Array:
    losses = optax.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    return _reduced(losses, reduction)


def _textbook(
    logits: Array, targets: Array, *, alpha: float, gamma: float, reduction: str
) -> Array:
    p = jax.nn.sigmoid(logits)
    p_t = p * targets + (1 - p) * (1 - targets)
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    cross_entropy = optax.sigmoid_binary_cross_entropy(logits, targets)
    losses = alpha_t * (1 - p_t) ** gamma * cross_entropy
    return _reduced(losses, reduction)


def _textbook_softmax(logits: Array, targets: Array, *, gamma: float, reduction: str) -> Array:
    log_softmax = jax.nn.log_softmax(logits)
    log_p = jnp.take_along_axis(log_softmax, targets[:, None], -1)[:, 0]
    losses = -((1 - jnp.exp(log_p)) ** gamma) * log_p
    return _reduced(losses, reduction)


def _cross_entropy(logits: Array, targets: Array, *, gamma: float, reduction: str) -> Array:
    """Without focal at all, so γ is not used."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    return _reduced(losses, reduction)


def _reduced(losses: Array, reduction: str) -> Array:
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.mean()


def _asymmetric(logits: Array, targets: Array, *, gamma: float, **settings: Any) -> Array:
    return focal_jax.asymmetric_loss(logits, targets, gamma_negative=gamma, **settings)


LOSSES: dict[tuple[str, str], Loss] = {
    ("focal_jax", "quality"): partial(focal_jax.sigmoid_focal_loss, soft_targets="quality"),
    ("focal_jax", "varifocal"): focal_jax.varifocal_loss,
    ("focal_jax", "heatmap"): focal_jax.heatmap_focal_loss,
    ("focal_jax", "asymmetric"): _asymmetric,
    ("focal_jax", "sigmoid"): focal_jax.sigmoid_focal_loss,
    ("focal_jax", "softmax"): focal_jax.softmax_focal_loss,
    ("optax", "sigmoid"): _optax,
    ("textbook", "sigmoid"): _textbook,
    ("optax cross entropy", "softmax"): _cross_entropy,
    ("textbook", "softmax"): _textbook_softmax,
}

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


def program(case: Case) -> Callable[..., Any]:
    """A function of the logits, and of all other arguments by their names."""
    loss = partial(LOSSES[case.by, case.loss], reduction=case.reduction)
    if case.loss == "sigmoid" and not case.per_class:
        loss = partial(loss, alpha=0.25)
    if case.run == "vmap":
        return partial(_over_gamma, loss)
    return partial(loss if case.run == "forward" else partial(_both, loss), gamma=case.gamma)


def _both(
    loss: Callable[..., Array], logits: Array, cotangent: Array | None = None, **given: Any
) -> Any:
    """Value and gradient."""
    if cotangent is None:
        return jax.value_and_grad(loss)(logits, **given)
    value, pull = jax.vjp(lambda logits: loss(logits, **given), logits)
    return value, *pull(cotangent)


def _over_gamma(loss: Callable[..., Array], logits: Array, *, gamma: Array, **given: Array) -> Any:
    return jax.vmap(lambda gamma: _both(loss, logits, gamma=gamma, **given))(gamma)


def _optax(logits: Array, targets: Array, *, alpha: float, gamma: float, reduction: str) -> Array:
    return _reduced(optax.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma), reduction)


def _textbook(
    logits: Array, targets: Array, *, alpha: float, gamma: float, reduction: str
) -> Array:
    p = jax.nn.sigmoid(logits)
    p_t = p * targets + (1 - p) * (1 - targets)
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    cross_entropy = optax.sigmoid_binary_cross_entropy(logits, targets)
    return _reduced(alpha_t * (1 - p_t) ** gamma * cross_entropy, reduction)


def _textbook_softmax(logits: Array, targets: Array, *, gamma: float, reduction: str) -> Array:
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], -1)[:, 0]
    return _reduced(-((1 - jnp.exp(log_p)) ** gamma) * log_p, reduction)


def _cross_entropy(logits: Array, targets: Array, *, gamma: float, reduction: str) -> Array:
    """Without focal at all, so γ is not used."""
    return _reduced(optax.softmax_cross_entropy_with_integer_labels(logits, targets), reduction)


def _reduced(loss: Array, reduction: str) -> Array:
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction]


LOSSES: dict[tuple[str, str], Callable[..., Array]] = {
    ("focal_jax", "sigmoid"): focal_jax.sigmoid_focal_loss,
    ("focal_jax", "softmax"): focal_jax.softmax_focal_loss,
    ("optax", "sigmoid"): _optax,
    ("textbook", "sigmoid"): _textbook,
    ("optax cross entropy", "softmax"): _cross_entropy,
    ("textbook", "softmax"): _textbook_softmax,
}

"""Right losses of elements, and a wrong sum or mean of them."""

import jax
import jax.numpy as jnp
from jax import Array

from .mistake import mistake
from .paper import Paper
from .probes import Reduced

SIGMOID = "sigmoid_focal_loss"


def losses(logits: Array, targets: Array, alpha: float, gamma: float) -> Array:
    return Paper(logits, jnp.asarray(targets, logits.dtype), alpha, gamma).loss


def reduced(loss: Array, reduction: str, mean: Array) -> Array:
    """As most ports have it: what they do not know is no reduction."""
    if reduction == "mean":
        return mean
    return loss.sum() if reduction == "sum" else loss


@mistake(
    SIGMOID,
    control=Reduced("sum", kept=None),
    probe=Reduced("sum", kept=None, dtype="float16", repeat=4096),
    reason="sum of",
)
def half_precision_sum(
    logits: Array,
    targets: Array,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: str = "sum",
) -> Array:
    """Losses are summed in the dtype of the logits: a float16 sum of many is not the sum."""
    loss = losses(logits, targets, alpha, gamma)
    if reduction == "none":
        return loss
    return jax.lax.reduce(loss, jnp.zeros((), loss.dtype), jax.lax.add, (0,))


@mistake(SIGMOID, control=Reduced("mean", kept=None), probe=Reduced("mean"), reason="mean of")
def mean_over_ignored(
    logits: Array,
    targets: Array,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    where: Array | None = None,
    reduction: str = "mean",
) -> Array:
    """The mean divides by all elements, the ignored ones included (kornia, pytorch-toolbelt,
    catalyst)."""
    loss = losses(logits, targets, alpha, gamma)
    if where is not None:
        loss = jnp.where(where, loss, 0)
    return reduced(loss, reduction, loss.mean())


@mistake(
    SIGMOID,
    control=Reduced("mean", kept=None),
    probe=Reduced("mean", kept=None, weight=2.0),
    reason="mean of",
)
def weight_in_the_divisor(
    logits: Array,
    targets: Array,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    weight: Array | None = None,
    reduction: str = "mean",
) -> Array:
    """The mean divides by the sum of the weights, so that a common weight has no effect."""
    loss = losses(logits, targets, alpha, gamma)
    if weight is None:
        weight = jnp.ones_like(loss)
    weighted = loss * weight
    return reduced(weighted, reduction, weighted.sum() / weight.sum())

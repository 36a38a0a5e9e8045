"""From one loss per element to the reduction that was asked for."""
# JAX leaves parts of jnp.asarray without types.
# pyright: reportUnknownMemberType=false

import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from .rules import keep, widen

REDUCTIONS = ("none", "sum", "mean", "mean_positive")


def reduce(loss: Array, targets: Array, where: Array | None, reduction: str, dtype: DTypeLike) -> Array:
    """Reduce a loss whose masked elements are 0 already.

    "mean" divides by the number of elements that `where` keeps, "mean_positive" by the sum of the targets that it
    keeps, each at least 1. Weights enter neither. "none" returns `dtype`, the reductions what they accumulate in.
    """
    if reduction == "none":
        return loss.astype(dtype)
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        divisor = jnp.asarray(loss.size) if where is None else where.sum()
    else:
        divisor = keep(where, widen(targets)).sum()
    return loss.sum() / jnp.maximum(divisor, 1).astype(loss.dtype)

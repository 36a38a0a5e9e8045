"""From one loss for each element to the reduction that was asked for."""

# JAX leaves parts of jnp.asarray without types.
# pyright: reportUnknownMemberType=false

import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from .arrays import as_dtype, is_bool, is_floating, upcast, zero_outside
from .collectives import Group, size, sum_over
from .tracing import sum_and_wrong

REDUCTIONS = ("none", "sum", "mean", "mean_positive")


def divisor_of(
    reduction: str, targets: Array, where: Array | None, elements: int, group: Group
) -> Array | None:
    """What a reduction of so many losses on each rank divides by, if it divides.

    "mean" divides by the number of elements that `where` leaves in, "mean_positive" by the sum of
    their targets, each at least 1. Weights enter neither. One integer that is neither 0 nor 1 makes
    it NaN.
    """
    if reduction == "mean":
        if where is None:
            # No integer: 32 bits count two thousand million elements.
            return jnp.asarray(elements * size(group), float)
        return sum_over(where.sum(), group)
    if reduction == "mean_positive":
        return sum_over(_sum_of_targets(zero_outside(where, targets)), group)
    return None


def _sum_of_targets(targets: Array) -> Array:
    if is_floating(targets) or is_bool(targets):
        # In float32 at least: bfloat16 counts to 256.
        return upcast(targets).sum()
    total, wrong = sum_and_wrong(targets)
    return jnp.where(wrong, jnp.nan, total.astype(float))


def at_least_one(divisor: Array, dtype: DTypeLike) -> Array:
    return jnp.maximum(divisor, 1).astype(dtype)


def reduce(
    loss: Array, divisor: Array | None, reduction: str, dtype: DTypeLike, group: Group
) -> Array:
    """Reduce a loss whose masked elements are 0 already. "none" returns `dtype`, all else what it
    accumulates in."""
    if reduction == "none":
        return as_dtype(loss, dtype)
    # The losses of half precision come in float32, and are added in it.
    total = sum_over(loss.sum(), group)
    if divisor is None:
        return total
    return total / at_least_one(divisor, loss.dtype)

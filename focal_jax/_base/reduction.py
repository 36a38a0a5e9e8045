"""From one loss for each element to the reduction that was asked for."""

# JAX leaves parts of jnp.asarray without types.
# pyright: reportUnknownMemberType=false

import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from .arrays import upcast, zero_outside
from .collectives import Group, size, sum_over

REDUCTIONS = ("none", "sum", "mean", "mean_positive")


def divisor_of(
    reduction: str, targets: Array, where: Array | None, elements: int, group: Group
) -> Array | None:
    """What a reduction of so many losses on each rank divides by, if it divides.

    "mean" divides by the number of elements that `where` leaves in, "mean_positive" by the sum of
    their targets, each at least 1. Weights enter neither.
    """
    if reduction == "mean":
        if where is None:
            # No integer: 32 bits count two thousand million elements.
            return jnp.asarray(elements * size(group), float)
        return sum_over(where.sum(), group)
    if reduction == "mean_positive":
        # In float32 at least: bfloat16 counts to 256.
        return sum_over(zero_outside(where, upcast(targets)).sum(), group)
    return None


def at_least_one(divisor: Array, dtype: DTypeLike) -> Array:
    return jnp.maximum(divisor, 1).astype(dtype)


def reduce(
    loss: Array, divisor: Array | None, reduction: str, dtype: DTypeLike, group: Group
) -> Array:
    """Reduce a loss whose masked elements are 0 already. "none" returns `dtype`, all else what it
    accumulates in."""
    if reduction == "none":
        return loss.astype(dtype)
    # The losses of half precision come in float32, and are added in it.
    total = sum_over(loss.sum(), group)
    if divisor is None:
        return total
    return total / at_least_one(divisor, loss.dtype)

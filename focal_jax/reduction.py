"""From one loss per element to the reduction that was asked for."""
# JAX leaves parts of jnp.asarray without types.
# pyright: reportUnknownMemberType=false

import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from .arrays import keep, widen
from .collectives import Devices, count, sum_over

REDUCTIONS = ("none", "sum", "mean", "mean_positive")


def divisor_of(reduction: str, targets: Array, where: Array | None, size: int, devices: Devices) -> Array | None:
    """What a reduction of `size` losses on each device divides by, if it divides.

    "mean" divides by the number of elements that `where` keeps, "mean_positive" by the sum of the targets that it
    keeps, each at least 1. Weights enter neither.
    """
    if reduction == "mean":
        return jnp.asarray(size * count(devices), float) if where is None else sum_over(where.sum(), devices)
    return sum_over(keep(where, widen(targets)).sum(), devices) if reduction == "mean_positive" else None


def at_least_one(divisor: Array, dtype: DTypeLike) -> Array:
    return jnp.maximum(divisor, 1).astype(dtype)


def reduce(loss: Array, divisor: Array | None, reduction: str, dtype: DTypeLike, devices: Devices) -> Array:
    """Reduce a loss whose masked elements are 0 already. "none" returns `dtype`, all else what it accumulates in."""
    if reduction == "none":
        return loss.astype(dtype)
    total = sum_over(loss.sum(), devices)
    return total if divisor is None else total / at_least_one(divisor, loss.dtype)

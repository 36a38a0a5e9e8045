"""From one loss for each element to the reduction that was asked for."""

import torch
from torch import Tensor

from .arrays import as_dtype, is_bool, is_floating, upcast, zero_outside
from .collectives import Group, sum_over
from .meshes import full_tensor

REDUCTIONS = ("none", "sum", "mean", "mean_positive")


def divisor_of(
    reduction: str, targets: Tensor, where: Tensor | None, elements: int, group: Group
) -> Tensor | None:
    """What a reduction of so many losses on each rank divides by, if it divides.

    "mean" divides by the number of elements that `where` leaves in, "mean_positive" by the sum of
    their targets, each at least 1. Weights enter neither. One integer that is neither 0 nor 1 makes
    it NaN.
    """
    if reduction == "mean":
        if where is None:
            return sum_over(torch.tensor(elements, device=targets.device), group)
        return sum_over(full_tensor(where.sum()), group)
    if reduction == "mean_positive":
        total = _sum_of_targets(zero_outside(where, targets))
        return sum_over(total, group)
    return None


def _sum_of_targets(targets: Tensor) -> Tensor:
    # In float32 at least: bfloat16 counts to 256.
    total = full_tensor(upcast(targets).sum())
    if is_floating(targets) or is_bool(targets):
        return total
    valid = (targets == 0) | (targets == 1)
    return torch.where(full_tensor(valid.all()), total, torch.nan)


def at_least_one(divisor: Tensor, dtype: torch.dtype) -> Tensor:
    return divisor.clamp(min=1).to(dtype)


def reduce(
    loss: Tensor, divisor: Tensor | None, reduction: str, dtype: torch.dtype, group: Group
) -> Tensor:
    """Reduce a loss whose masked elements are 0 already. "none" returns `dtype`, all else what it
    accumulates in."""
    if reduction == "none":
        return as_dtype(loss, dtype)
    # The losses of half precision come in float32, and are added in it.
    total = sum_over(full_tensor(loss.sum()), group)
    if divisor is None:
        return total
    return total / at_least_one(divisor, loss.dtype)

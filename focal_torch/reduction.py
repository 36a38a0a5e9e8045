"""From one loss per element to the reduction that was asked for."""

import torch
from torch import Tensor

from .arrays import keep, widen
from .collectives import Devices, sum_over
from .engine import whole

REDUCTIONS = ("none", "sum", "mean", "mean_positive")


def divisor_of(reduction: str, targets: Tensor, where: Tensor | None, size: int, devices: Devices) -> Tensor | None:
    """What a reduction of `size` losses on each device divides by, if it divides.

    "mean" divides by the number of elements that `where` keeps, "mean_positive" by the sum of the targets that it
    keeps, each at least 1. Weights enter neither.
    """
    if reduction == "mean":
        return sum_over(torch.tensor(size, device=targets.device) if where is None else whole(where.sum()), devices)
    return sum_over(whole(keep(where, widen(targets)).sum()), devices) if reduction == "mean_positive" else None


def at_least_one(divisor: Tensor, dtype: torch.dtype) -> Tensor:
    return divisor.clamp(min=1).to(dtype)


def reduce(loss: Tensor, divisor: Tensor | None, reduction: str, dtype: torch.dtype, devices: Devices) -> Tensor:
    """Reduce a loss whose masked elements are 0 already. "none" returns `dtype`, all else what it accumulates in."""
    if reduction == "none":
        return loss.to(dtype)
    total = sum_over(whole(loss.sum()), devices)
    return total if divisor is None else total / at_least_one(divisor, loss.dtype)

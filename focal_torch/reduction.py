"""From one loss per element to the reduction that was asked for."""

import torch
from torch import Tensor

from .arrays import keep, widen

REDUCTIONS = ("none", "sum", "mean", "mean_positive")


def divisor_of(reduction: str, targets: Tensor, where: Tensor | None, size: int) -> Tensor | None:
    """What a reduction of `size` losses divides by, if it divides.

    "mean" divides by the number of elements that `where` keeps, "mean_positive" by the sum of the targets that it
    keeps, each at least 1. Weights enter neither.
    """
    if reduction == "mean":
        return torch.tensor(size, device=targets.device) if where is None else where.sum()
    return keep(where, widen(targets)).sum() if reduction == "mean_positive" else None


def at_least_one(divisor: Tensor, dtype: torch.dtype) -> Tensor:
    return divisor.clamp(min=1).to(dtype)


def reduce(loss: Tensor, divisor: Tensor | None, reduction: str, dtype: torch.dtype) -> Tensor:
    """Reduce a loss whose masked elements are 0 already. "none" returns `dtype`, all else what it accumulates in."""
    if reduction == "none":
        return loss.to(dtype)
    total = loss.sum()
    return total if divisor is None else total / at_least_one(divisor, loss.dtype)

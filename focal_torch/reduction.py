"""From one loss per element to the reduction that was asked for."""

import torch
from torch import Tensor

from .rules import keep, widen

REDUCTIONS = ("none", "sum", "mean", "mean_positive")


def reduce(loss: Tensor, targets: Tensor, where: Tensor | None, reduction: str, dtype: torch.dtype) -> Tensor:
    """Reduce a loss whose masked elements are 0 already.

    "mean" divides by the number of elements that `where` keeps, "mean_positive" by the sum of the targets that it
    keeps, each at least 1. Weights enter neither. "none" returns `dtype`, the reductions what they accumulate in.
    """
    if reduction == "none":
        return loss.to(dtype)
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        divisor = torch.tensor(loss.numel()) if where is None else where.sum()
    else:
        divisor = keep(where, widen(targets)).sum()
    return loss.sum() / divisor.clamp(min=1).to(loss.dtype)

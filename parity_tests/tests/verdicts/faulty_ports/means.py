"""Faults of reductions: what a mean divides by, and a sum that divides."""

import torch
from torch import Tensor

from .fault import SIGMOID, SOFTMAX, divided, fault, masked, sigmoid, softmax


@fault(SIGMOID, "options", "mean_all")
def mean_of_all(
    logits: Tensor,
    targets: Tensor,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    where: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    if where is not None:
        logits = torch.where(where, logits, 0.0)
    losses = masked(sigmoid(logits, targets, alpha, gamma), where, "none")
    return divided(losses, losses.numel(), reduction)


@fault(SIGMOID, "options", "mean_positives")
def mean_of_positives(
    logits: Tensor,
    targets: Tensor,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Tensor:
    return divided(sigmoid(logits, targets, alpha, gamma), targets.sum(), reduction)


@fault(SIGMOID, "options", "mean_alphas")
def mean_by_alpha(
    logits: Tensor,
    targets: Tensor,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Tensor:
    alphas = torch.where(targets == 1, alpha, 1 - alpha)
    return divided(sigmoid(logits, targets, alpha, gamma), alphas.sum(), reduction)


@fault(SIGMOID, "options", "mean_weights")
def mean_by_weight(
    logits: Tensor,
    targets: Tensor,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    weight: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    losses = sigmoid(logits, targets, alpha, gamma)
    if weight is None:
        return divided(losses, losses.numel(), reduction)
    return divided(losses * weight, weight.sum(), reduction)


@fault(SOFTMAX, "options", "mean_weights")
def mean_of_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    alpha: Tensor | None = None,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Tensor:
    """By the sum of the class weights, as the mean of a weighted cross entropy."""
    losses = softmax(logits, targets, gamma)
    if alpha is None:
        return divided(losses, losses.numel(), reduction)
    weights = alpha[targets]
    return divided(weights * losses, weights.sum(), reduction)


@fault(SOFTMAX, "options", "mean_logits")
def mean_over_logits(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, reduction: str = "none"
) -> Tensor:
    return divided(softmax(logits, targets, gamma), logits.numel(), reduction)


@fault(SIGMOID, "options", "sum_kept")
def sum_that_divides(
    logits: Tensor,
    targets: Tensor,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Tensor:
    losses = sigmoid(logits, targets, alpha, gamma)
    return losses if reduction == "none" else losses.mean()


@fault(SIGMOID, "options", "mean_unknown")
def mean_by_another_number(
    logits: Tensor,
    targets: Tensor,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Tensor:
    losses = sigmoid(logits, targets, alpha, gamma)
    return divided(losses, losses.numel() - 0.5, reduction)


@fault(SIGMOID, "options", "own_positives")
def one_number_by_positives(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    return sigmoid(logits, targets, alpha, gamma).sum() / targets.sum().clamp_min(1)


@fault(SIGMOID, "options", "own_unknown")
def one_number_by_another(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    return sigmoid(logits, targets, alpha, gamma).sum() / (1.5 * len(logits) - 0.5)

"""Faults of masks, of targets that are ignored, and of smoothed labels."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from .fault import SIGMOID, SOFTMAX, fault, masked, sigmoid, softmax


@fault(SIGMOID, "options", "where_ignored")
def without_mask(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0, where=None
) -> Tensor:
    return sigmoid(logits, targets, alpha, gamma)


@fault(SIGMOID, "options", "where_inverted")
def inverted_mask(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0, where=None
) -> Tensor:
    losses = sigmoid(logits, targets, alpha, gamma)
    return losses if where is None else torch.where(where, 0.0, losses)


@fault(SIGMOID, "options", "where_multiplied")
def multiplied_mask(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0, where=None
) -> Tensor:
    losses = sigmoid(logits, targets, alpha, gamma)
    return losses if where is None else losses * where


@fault(SIGMOID, "options", "where_not_zero")
def mask_with_a_number(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0, where=None
) -> Tensor:
    losses = sigmoid(logits, targets, alpha, gamma)
    return losses if where is None else torch.where(where, losses, 1e-3)


@fault(SIGMOID, "options", "where_drops")
def dropping_mask(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0, where=None
) -> Tensor:
    losses = sigmoid(logits, targets, alpha, gamma)
    return losses if where is None else losses[where]


@fault(SIGMOID, "options", "where_of_reductions")
def mask_of_the_mean(
    logits: Tensor,
    targets: Tensor,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    where: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    losses = sigmoid(logits, targets, alpha, gamma)
    return losses if reduction == "none" else masked(losses, where, reduction)


@fault(SIGMOID, "backward", "where_gradient")
def mask_after_the_loss(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0, where=None
) -> Tensor:
    """Twice the gradient's own zero is NaN where the logits are."""
    losses = sigmoid(logits, targets, alpha, gamma)
    losses = losses + 0 * logits.detach() * (logits - logits.detach())
    return losses if where is None else torch.where(where, losses, 0.0)


@fault(SOFTMAX, "options", "ignore_index_ignored")
def without_ignoring(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, ignore_index: int | None = None
) -> Tensor:
    return softmax(logits, targets, gamma)


@fault(SOFTMAX, "options", "ignore_index_zero")
def zero_for_none(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, ignore_index: int | None = None
) -> Tensor:
    losses = softmax(logits, targets, gamma)
    return torch.where(targets == ignore_index, 0.0, losses) if ignore_index else losses


@fault(SOFTMAX, "options", "ignore_index_fixed")
def usual_index(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, ignore_index: int = -100
) -> Tensor:
    losses = softmax(logits, targets.clamp_min(0), gamma)
    return torch.where(targets == -100, 0.0, losses)


@fault(SOFTMAX, "options", "ignore_index_inverted")
def inverted_index(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, ignore_index: int = -100
) -> Tensor:
    losses = softmax(logits, targets, gamma)
    if ignore_index == -100:
        return losses
    return torch.where(targets == ignore_index, losses, 0.0)


def smoothed(
    logits: Tensor, targets: Tensor, gamma: float, smoothing: float, own: float, others: float
) -> Tensor:
    """The right loss of targets that are smoothed otherwise."""
    if not smoothing:
        return softmax(logits, targets, gamma)
    hard = one_hot(targets, logits.shape[-1]).to(logits.dtype)
    return softmax(logits, hard * own + (1 - hard) * others, gamma)


@fault(SOFTMAX, "options", "smoothing_of_others")
def smoothing_of_others(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, label_smoothing: float = 0.0
) -> Tensor:
    share = label_smoothing / (logits.shape[-1] - 1)
    return smoothed(logits, targets, gamma, label_smoothing, 1 - label_smoothing, share)


@fault(SOFTMAX, "options", "smoothing_lost")
def smoothing_that_loses(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, label_smoothing: float = 0.0
) -> Tensor:
    share = label_smoothing / logits.shape[-1]
    return smoothed(logits, targets, gamma, label_smoothing, 1 - label_smoothing, share)


@fault(SOFTMAX, "options", "smoothing_of_p_t")
def smoothed_p_t(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, label_smoothing: float = 0.0
) -> Tensor:
    if not label_smoothing:
        return softmax(logits, targets, gamma)
    ce = cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="none")
    return (1 - torch.exp(-ce)) ** gamma * ce


@fault(SOFTMAX, "options", "smoothing_of_target")
def smoothed_cross_entropy(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, label_smoothing: float = 0.0
) -> Tensor:
    if not label_smoothing:
        return softmax(logits, targets, gamma)
    p_t = torch.exp(-cross_entropy(logits, targets, reduction="none"))
    ce = cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="none")
    return (1 - p_t) ** gamma * ce


@fault(SOFTMAX, "options", "label_smoothing_ignored")
def without_smoothing(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, label_smoothing: float = 0.0
) -> Tensor:
    return softmax(logits, targets, gamma)

"""Ports that are right but for one fault, with the name of what a report has to say of it.

FAULTS has the function that each port wants to be; RIGHT has ports that differ from them in nothing
but that fault.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, one_hot

import focal_torch

SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
Port = Callable[..., Tensor]


class Fault(NamedTuple):
    """A faulty port, its function, the layer that fails, and the one diagnosis that it gets."""

    port: Port
    function: str
    layer: str
    name: str


FAULTS: dict[str, Fault] = {}


def fault(function: str, layer: str, name: str) -> Callable[[Port], Port]:
    def add(port: Port) -> Port:
        FAULTS[port.__name__] = Fault(port, function, layer, name)
        return port

    return add


def sigmoid(
    logits: Tensor, targets: Tensor, alpha: float | None = 0.25, gamma: float = 2.0
) -> Tensor:
    return focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def softmax(logits: Tensor, targets: Tensor, gamma: float = 2.0) -> Tensor:
    return focal_torch.softmax_focal_loss(logits, targets, gamma=gamma, axis=-1)


class Mixed(torch.autograd.Function):
    """One loss by its value, another by its gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, other: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        (grad,) = grads
        return None, grad


def with_gradient_of(value: Tensor, other: Tensor) -> Tensor:
    return Mixed.apply(value.detach(), other)


@fault(SIGMOID, "values", "swapped")
def alpha_for_gamma(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    losses = sigmoid(logits, targets, None, alpha)
    return torch.where(targets == 1, gamma, 1 - gamma) * losses


@fault(SOFTMAX, "options", "swapped")
def class_weights_for_gamma(
    logits: Tensor, targets: Tensor, *, alpha: Tensor | None = None, gamma: float = 2.0
) -> Tensor:
    if alpha is None:
        return softmax(logits, targets, gamma)
    exponents = alpha[targets][:, None].expand_as(logits)
    losses = focal_torch.softmax_focal_loss(logits, targets, gamma=exponents[:, :1], axis=-1)
    return gamma * losses


@fault(SOFTMAX, "options", "weighted_p_t")
def weighted_p_t(
    logits: Tensor, targets: Tensor, *, alpha: Tensor | None = None, gamma: float = 2.0
) -> Tensor:
    if alpha is None:
        return softmax(logits, targets, gamma)
    ce = cross_entropy(logits, targets, weight=alpha, reduction="none")
    return (1 - torch.exp(-ce)) ** gamma * ce


@fault(SIGMOID, "values", "different_losses")
def value_without_modulator(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    cross_entropies = sigmoid(logits, targets, alpha, 0.0)
    return with_gradient_of(cross_entropies, sigmoid(logits, targets, alpha, gamma))


@fault(SIGMOID, "gradients", "different_losses")
def gradient_without_modulator(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    losses = sigmoid(logits, targets, alpha, gamma)
    return with_gradient_of(losses, sigmoid(logits, targets, alpha, 0.0))


@fault(SOFTMAX, "values", "different_losses")
def softmax_value_without_modulator(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0
) -> Tensor:
    return with_gradient_of(softmax(logits, targets, 0.0), softmax(logits, targets, gamma))


@fault(SOFTMAX, "gradients", "different_losses")
def softmax_gradient_without_modulator(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0
) -> Tensor:
    return with_gradient_of(softmax(logits, targets, gamma), softmax(logits, targets, 0.0))


@fault(SIGMOID, "values", "different_losses")
def value_of_one_gamma(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    losses = sigmoid(logits, targets, alpha, 2.0)
    return with_gradient_of(losses, sigmoid(logits, targets, alpha, gamma))


@fault(SIGMOID, "values", "gamma_ignored")
def without_gamma(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    return sigmoid(logits, targets, alpha, 0.0)


@fault(SIGMOID, "values", "gamma_fixed")
def of_one_gamma(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    return sigmoid(logits, targets, alpha, 2.0)


@fault(SIGMOID, "soft targets", "truncated")
def truncated_targets(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    return sigmoid(logits, targets.long().to(logits.dtype), alpha, gamma)


@fault(SIGMOID, "soft targets", "rounded")
def rounded_targets(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    return sigmoid(logits, targets.round(), alpha, gamma)


@fault(SOFTMAX, "soft targets", "argmax")
def most_probable(logits: Tensor, targets: Tensor, *, gamma: float = 2.0) -> Tensor:
    ids = targets.argmax(-1) if targets.ndim == logits.ndim else targets
    return softmax(logits, ids, gamma)


@fault(SOFTMAX, "values", "wrong_axis")
def over_the_batch(logits: Tensor, targets: Tensor, *, gamma: float = 2.0) -> Tensor:
    log_p = log_softmax(logits, 0).gather(-1, targets[:, None])[:, 0]
    return -((-torch.expm1(log_p)) ** gamma) * log_p


@fault(SIGMOID, "values", "infinite")
def logarithm_of_p(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """−log(1 − p) of class 0 is inf as soon as p is 1; everything else is right."""
    losses = sigmoid(logits, targets, alpha, gamma)
    is_lost = (targets == 0) & (torch.sigmoid(logits) == 1)
    return with_gradient_of(torch.where(is_lost, torch.inf, losses), losses)


def masked(losses: Tensor, where: Tensor | None, reduction: str) -> Tensor:
    count = losses.numel()
    if where is not None:
        losses = torch.where(where, losses, 0.0)
        count = where.sum()
    return divided(losses, count, reduction)


def divided(losses: Tensor, divisor: Tensor | float, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    return losses.sum() / divisor if reduction == "mean" else losses.sum()


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

"""Faults of values and gradients, also for soft targets."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

import focal_torch

from .fault import SIGMOID, SOFTMAX, fault, sigmoid, softmax


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

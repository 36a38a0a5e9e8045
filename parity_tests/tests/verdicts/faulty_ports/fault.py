"""What is known of a faulty port, all of them, and the right losses that they start from."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

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

"""Ports of odd forms, each right, and each with a twin that is wrong in one thing."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from torch import Tensor

import focal_jax
import focal_torch

Port = Callable[..., Any]
sigmoid, softmax = focal_torch.sigmoid_focal_loss, focal_torch.softmax_focal_loss


def factory(alpha: float, gamma: float) -> Port:
    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return sigmoid(logits, targets, alpha=alpha, gamma=gamma)

    return loss


def factory_that_forgets(alpha: float, gamma: float) -> Port:
    return factory(alpha, 2.0)


def factory_of_modules(alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none") -> Port:
    return focal_torch.SigmoidFocalLoss(alpha=alpha, gamma=gamma, reduction=reduction)


def factory_of_sums(alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none") -> Port:
    reduction = "sum" if reduction == "mean" else reduction
    return factory_of_modules(alpha, gamma, reduction)


def one_based(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    return softmax(logits, labels - 1, gamma=gamma)


def one_based_of_rows(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    return softmax(logits, len(logits[0]) - labels, gamma=gamma)


def one_based_of_any(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """A label of 0 is no error here: it counts from the end."""
    rows = torch.arange(len(labels))
    margins = logits[rows, labels - 1]
    others = logits.index_put((rows, labels - 1), torch.tensor(-torch.inf)).logsumexp(1)
    u = margins - others
    return torch.sigmoid(-u) ** gamma * torch.nn.functional.softplus(-u)


def one_hot(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    assert targets.shape == logits.shape
    return softmax(logits, targets, gamma=gamma)


def one_hot_reversed(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    return one_hot(logits, targets.flip(1), gamma)


def integers(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> Tensor:
    assert not targets.is_floating_point()
    return sigmoid(logits, targets.to(logits), alpha=alpha, gamma=gamma)


def integers_swapped(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> Tensor:
    return integers(logits, 1 - targets, alpha, gamma)


def pair(logits: Tensor, targets: Tensor, alpha: Tensor, gamma: float) -> Tensor:
    weights = alpha[targets.long()]
    return weights * sigmoid(logits, targets, alpha=None, gamma=gamma)


def pair_swapped(logits: Tensor, targets: Tensor, alpha: Tensor, gamma: float) -> Tensor:
    return pair(logits, targets, alpha.flip(0), gamma)


def tensors(logits: Tensor, targets: Tensor, alpha: Tensor, gamma: Tensor) -> Tensor:
    alpha, gamma = alpha.to(logits.device), gamma.to(logits.device)
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma)


def tensors_cut(logits: Tensor, targets: Tensor, alpha: Tensor, gamma: Tensor) -> Tensor:
    return tensors(logits, targets, alpha, gamma.clamp(max=4))


def rows(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> Tensor:
    """As detectors have it: the mean over classes, then the sum."""
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma).mean(1).sum()


def rows_doubled(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> Tensor:
    return rows(logits, targets, alpha, gamma) * len(logits)


def images(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    _, _, _, _ = logits.shape
    return softmax(logits, targets, gamma=gamma)


def images_flattened(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """The usual mistake: the axis of the classes is not the last one."""
    _, classes, _, _ = logits.shape
    flat = softmax(logits.reshape(-1, classes), targets.reshape(-1), gamma=gamma)
    return flat.reshape(targets.shape)


def images_of_one(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    losses = images(logits, targets, gamma)
    return losses[:1].expand(losses.shape)


def by_image(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    return images(logits, targets, gamma).mean((1, 2))


def by_image_halved(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    return images(logits, targets, gamma).sum((1, 2)) / 2


def channels_last(logits: jax.Array, labels: jax.Array, gamma: float) -> jax.Array:
    _, _, _, _ = logits.shape
    return focal_jax.softmax_focal_loss(logits, labels, gamma=gamma)


def channels_first(logits: jax.Array, labels: jax.Array, gamma: float) -> jax.Array:
    """Over the wrong axis of the same images."""
    return channels_last(logits[..., ::-1], labels, gamma)


def item(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> float:
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma, reduction="mean").item()


def item_of_sum(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> float:
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma).sum().item() / 2


def numpy_result(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> np.ndarray:
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma).detach().numpy()


def numpy_halves(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> np.ndarray:
    return numpy_result(logits, targets, alpha, gamma) / 2


def in_tuple(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> tuple[Tensor, Tensor]:
    return torch.sigmoid(logits), sigmoid(logits, targets, alpha=alpha, gamma=gamma)


def in_dict(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> dict[str, Tensor]:
    p, loss = in_tuple(logits, targets, alpha, gamma)
    return {"p": p, "loss": loss}


def always_asks(
    logits: Tensor, targets: Tensor, where: Tensor | None, alpha: float, gamma: float
) -> Tensor:
    return sigmoid(logits, targets, where=where, alpha=alpha, gamma=gamma)


def by_place(a: Tensor, b: Tensor, /, alpha: float, gamma: float) -> Tensor:
    return sigmoid(a, b, alpha=alpha, gamma=gamma)


def by_place_swapped(a: Tensor, b: Tensor, /, alpha: float, gamma: float) -> Tensor:
    return sigmoid(-a, 1 - b, alpha=alpha, gamma=gamma)

"""Readings of public implementations that are not installed: their formulas, in the order of their
operations.

Each returns the loss before any reduction. What is written here is the arithmetic; names, checks
and options are not. Frameworks are imported where they are used, so that a list of these functions
needs neither.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax
    from torch import Tensor


def torchvision(logits: "Tensor", targets: "Tensor", alpha: float, gamma: float) -> "Tensor":
    """torchvision.ops.sigmoid_focal_loss, and fvcore's, from which it comes; negative α is off."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    p = logits.sigmoid()
    cross_entropy = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    loss = cross_entropy * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    return (alpha * targets + (1 - alpha) * (1 - targets)) * loss if alpha >= 0 else loss


def tutorial(logits: "Tensor", targets: "Tensor", alpha: float, gamma: float) -> "Tensor":
    """WeightedFocalLoss of the tutorial "What is Focal Loss and when should you use it in Object
    Detection"."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    weights = logits.new_tensor([alpha, 1 - alpha])
    cross_entropy = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    at = weights.gather(0, targets.long().view(-1))
    return at * (1 - (-cross_entropy).exp()) ** gamma * cross_entropy


def clcarwin(logits: "Tensor", targets: "Tensor", gamma: float) -> "Tensor":
    """FocalLoss of clcarwin/focal_loss_pytorch: p_t of a softmax, through which no gradient
    flows."""
    log_p = logits.log_softmax(1).gather(1, targets.view(-1, 1)).view(-1)
    return -((1 - log_p.detach().exp()) ** gamma) * log_p


def mmdet(logits: "Tensor", targets: "Tensor", alpha: float, gamma: float) -> "Tensor":
    """py_sigmoid_focal_loss of mmdet, which stands beside the compiled operator of mmcv."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    p = logits.sigmoid()
    q_t = (1 - p) * targets + p * (1 - targets)
    weight = (alpha * targets + (1 - alpha) * (1 - targets)) * q_t.pow(gamma)
    return binary_cross_entropy_with_logits(logits, targets, reduction="none") * weight


def tensorflow_addons(logits: "Tensor", targets: "Tensor", alpha: float, gamma: float) -> "Tensor":
    """tfa.losses.sigmoid_focal_crossentropy of logits; α = 0 is off, and γ = 0 leaves the factor
    out."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    p = logits.sigmoid()
    p_t = targets * p + (1 - targets) * (1 - p)
    weight = targets * alpha + (1 - targets) * (1 - alpha) if alpha else 1.0
    modulator = (1 - p_t).pow(gamma) if gamma else 1.0
    return weight * modulator * binary_cross_entropy_with_logits(logits, targets, reduction="none")


def artemmavrin(
    logits: "Tensor", targets: "Tensor", gamma: float, alpha: float | None = None
) -> "Tensor":
    """binary_focal_loss of artemmavrin/focal-loss, from logits: labels other than 0 have the
    modulator of class 1."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    p = logits.sigmoid()
    weight = None if alpha is None else logits.new_tensor(alpha)
    loss = binary_cross_entropy_with_logits(logits, targets, reduction="none", pos_weight=weight)
    return torch.where(targets != 0, (1 - p) ** gamma, p**gamma) * loss


def scenic_sigmoid(
    logits: "jax.Array", targets: "jax.Array", alpha: float, gamma: float
) -> "jax.Array":
    """focal_sigmoid_cross_entropy of scenic: 1 − p_t is 1 − exp(−BCE)."""
    import jax
    import jax.numpy as jnp

    loss = -(targets * jax.nn.log_sigmoid(logits) + (1 - targets) * jax.nn.log_sigmoid(-logits))
    loss = loss * (1 - jnp.exp(-loss)) ** gamma
    return loss * (alpha * targets + (1 - alpha) * (1 - targets))


def scenic_softmax(logits: "jax.Array", targets: "jax.Array", gamma: float) -> "jax.Array":
    """focal_softmax_cross_entropy of scenic, for one-hot labels or class probabilities."""
    import jax

    one_hot: Any = (
        targets if targets.ndim == logits.ndim else jax.nn.one_hot(targets, logits.shape[-1])
    )
    loss = -one_hot * jax.nn.log_softmax(logits)
    p_t = (jax.nn.softmax(logits) * one_hot).sum(-1, keepdims=True)
    return (loss * (1 - p_t) ** gamma).sum(-1)

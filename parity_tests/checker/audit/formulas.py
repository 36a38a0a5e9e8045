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


def _cross_entropy(
    logits: "Tensor", targets: "Tensor", pos_weight: "Tensor | None" = None
) -> "Tensor":
    from torch.nn.functional import binary_cross_entropy_with_logits as loss

    return loss(logits, targets, reduction="none", pos_weight=pos_weight)


def torchvision(logits: "Tensor", targets: "Tensor", alpha: float, gamma: float) -> "Tensor":
    """torchvision.ops.sigmoid_focal_loss, and fvcore's, from which it comes; negative α is off."""
    p = logits.sigmoid()
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = _cross_entropy(logits, targets) * (1 - p_t) ** gamma
    if alpha < 0:
        return loss
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    return alpha_t * loss


def tutorial(logits: "Tensor", targets: "Tensor", alpha: float, gamma: float) -> "Tensor":
    """WeightedFocalLoss of the tutorial "What is Focal Loss and when should you use it in Object
    Detection"."""
    weights = logits.new_tensor([alpha, 1 - alpha])
    cross_entropy = _cross_entropy(logits, targets)
    at = weights.gather(0, targets.long().view(-1))
    p_t = (-cross_entropy).exp()
    return at * (1 - p_t) ** gamma * cross_entropy


def clcarwin(logits: "Tensor", targets: "Tensor", gamma: float) -> "Tensor":
    """FocalLoss of clcarwin/focal_loss_pytorch: p_t of a softmax, through which no gradient
    flows."""
    log_p = logits.log_softmax(1).gather(1, targets.view(-1, 1)).view(-1)
    p_t = log_p.detach().exp()
    return -((1 - p_t) ** gamma) * log_p


def mmdet(logits: "Tensor", targets: "Tensor", alpha: float, gamma: float) -> "Tensor":
    """py_sigmoid_focal_loss of mmdet, which stands beside the compiled operator of mmcv."""
    p = logits.sigmoid()
    q_t = (1 - p) * targets + p * (1 - targets)
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    weight = alpha_t * q_t.pow(gamma)
    return _cross_entropy(logits, targets) * weight


def tensorflow_addons(logits: "Tensor", targets: "Tensor", alpha: float, gamma: float) -> "Tensor":
    """tfa.losses.sigmoid_focal_crossentropy of logits; α = 0 is off, and γ = 0 leaves the factor
    out."""
    p = logits.sigmoid()
    p_t = targets * p + (1 - targets) * (1 - p)
    weight: Any = 1.0
    if alpha:
        weight = targets * alpha + (1 - targets) * (1 - alpha)
    modulator: Any = 1.0
    if gamma:
        modulator = (1 - p_t).pow(gamma)
    return weight * modulator * _cross_entropy(logits, targets)


def artemmavrin(
    logits: "Tensor", targets: "Tensor", gamma: float, alpha: float | None = None
) -> "Tensor":
    """binary_focal_loss of artemmavrin/focal-loss, from logits: labels other than 0 have the
    modulator of class 1."""
    import torch

    p = logits.sigmoid()
    weight = None if alpha is None else logits.new_tensor(alpha)
    modulator = torch.where(targets != 0, (1 - p) ** gamma, p**gamma)
    return modulator * _cross_entropy(logits, targets, weight)


def scenic_sigmoid(
    logits: "jax.Array", targets: "jax.Array", alpha: float, gamma: float
) -> "jax.Array":
    """focal_sigmoid_cross_entropy of scenic: 1 − p_t is 1 − exp(−BCE)."""
    import jax
    import jax.numpy as jnp

    log_p, log_q = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    loss = -(targets * log_p + (1 - targets) * log_q)
    loss = loss * (1 - jnp.exp(-loss)) ** gamma
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    return loss * alpha_t


def scenic_softmax(logits: "jax.Array", targets: "jax.Array", gamma: float) -> "jax.Array":
    """focal_softmax_cross_entropy of scenic, for one-hot labels or class probabilities."""
    import jax

    one_hot: Any = targets
    if targets.ndim < logits.ndim:
        one_hot = jax.nn.one_hot(targets, logits.shape[-1])
    loss = -one_hot * jax.nn.log_softmax(logits)
    p_t = (jax.nn.softmax(logits) * one_hot).sum(-1, keepdims=True)
    return (loss * (1 - p_t) ** gamma).sum(-1)

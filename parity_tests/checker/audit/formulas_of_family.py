"""Readings of public varifocal, heatmap, asymmetric and quality losses that are not installed, as
`formulas` has those of focal losses."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jax import Array
    from torch import Tensor


def _cross_entropy(logits: "Tensor", targets: "Tensor") -> "Tensor":
    from torch.nn.functional import binary_cross_entropy_with_logits as loss

    return loss(logits, targets, reduction="none")


def centernet(logits: "Tensor", targets: "Tensor") -> "Tensor":
    """_neg_loss of CenterNet, given the clamped sigmoid that its trainer makes."""
    p = logits.sigmoid().clamp(min=1e-4, max=1 - 1e-4)
    peaks, others = targets.eq(1).to(p.dtype), targets.lt(1).to(p.dtype)
    positive = p.log() * (1 - p).pow(2) * peaks
    negative = (1 - p).log() * p.pow(2) * (1 - targets).pow(4) * others
    return -(positive + negative)


def scenic_heatmap(
    logits: "Array", targets: "Array", alpha: float | None, gamma: float, beta: float
) -> "Array":
    """heatmap_focal_loss of scenic's CenterNet, where a negative α is none."""
    import jax
    import jax.numpy as jnp

    own, other = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    p = jnp.clip(jax.nn.sigmoid(logits), 1e-4, 1 - 1e-4)
    peaks = (targets == 1).astype(p.dtype)
    positive = own * jnp.log(p) * (1 - p) ** gamma * peaks
    negative = other * jnp.log(1 - p) * p**gamma * (1 - targets) ** beta
    return -positive - negative


def mmdet_gaussian(
    logits: "Tensor", targets: "Tensor", alpha: float = 2.0, gamma: float = 4.0
) -> "Tensor":
    """gaussian_focal_loss of mmdet, given the sigmoid: α focuses there, γ falls off."""
    epsilon = 1e-12
    p = logits.sigmoid()
    positive = -(p + epsilon).log() * (1 - p).pow(alpha) * targets.eq(1)
    negative = -(1 - p + epsilon).log() * p.pow(alpha) * (1 - targets).pow(gamma)
    return positive + negative


def mmdet_varifocal(
    logits: "Tensor",
    targets: "Tensor",
    alpha: float = 0.75,
    gamma: float = 2.0,
    iou_weighted: bool = True,
) -> "Tensor":
    """varifocal_loss of mmdet."""
    positive = (targets > 0.0).to(logits.dtype)
    own = targets * positive if iou_weighted else positive
    distance = (logits.sigmoid() - targets).abs()
    weight = own + alpha * distance.pow(gamma) * (targets <= 0.0).to(logits.dtype)
    return _cross_entropy(logits, targets) * weight


def rt_detr(
    logits: "Tensor", targets: "Tensor", alpha: float = 0.75, gamma: float = 2.0
) -> "Tensor":
    """loss_labels_vfl of RT-DETR in PyTorch: its weight is detached."""
    label = (targets > 0).to(logits.dtype)
    p = logits.sigmoid().detach()
    weight = alpha * p.pow(gamma) * (1 - label) + targets
    return _cross_entropy(logits, targets) * weight


def transformers_ia_bce(logits: "Tensor", targets: "Tensor", gamma: float = 2.0) -> "Tensor":
    """The IA-BCE of LW-DETR and RF-DETR in transformers."""
    import torch

    p = logits.sigmoid()
    is_positive = targets > 0
    positive = torch.where(is_positive, targets, torch.zeros_like(p))
    negative = torch.where(is_positive, 1 - targets, p**gamma)
    return -positive * p.log() - negative * (1 - p).log()


def asl(
    logits: "Tensor",
    targets: "Tensor",
    gamma_positive: float = 1.0,
    gamma_negative: float = 4.0,
    shift: float = 0.05,
) -> "Tensor":
    """AsymmetricLoss of its authors, which holds the modulating factor by default."""
    import torch

    epsilon = 1e-8
    p = logits.sigmoid()
    q = 1 - p
    if shift > 0:
        q = (q + shift).clamp(max=1)
    loss = targets * p.clamp(min=epsilon).log() + (1 - targets) * q.clamp(min=epsilon).log()
    with torch.no_grad():
        p_t = p * targets + q * (1 - targets)
        power = gamma_positive * targets + gamma_negative * (1 - targets)
        weight = (1 - p_t).pow(power)
    return -loss * weight


def mmdet_quality(logits: "Tensor", targets: "Tensor", gamma: float = 2.0) -> "Tensor":
    """quality_focal_loss of mmdet, whose β is this γ."""
    import torch

    p = logits.sigmoid()
    negative = _cross_entropy(logits, torch.zeros_like(logits)) * p.pow(gamma)
    positive = _cross_entropy(logits, targets) * (targets - p).abs().pow(gamma)
    return torch.where(targets > 0, positive, negative)

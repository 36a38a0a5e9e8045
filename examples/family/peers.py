"""What public implementations compute, element by element, in the order of their own operations.

Each formula takes logits and targets, and gives one loss for each element. Reductions, masks and
assigners are left out. PyTorch, since nearly all of them are written in it.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid


def cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(z, y, reduction="none")


def clamped_heatmap(z: Tensor, y: Tensor) -> Tensor:
    """CenterNet, CornerNet, CenterPoint: a sigmoid that is clamped at 1e-4."""
    p = torch.clamp(torch.sigmoid(z), min=1e-4, max=1 - 1e-4)
    at_peaks = torch.log(p) * torch.pow(1 - p, 2) * y.eq(1)
    fall_off = torch.pow(1 - y, 4)
    elsewhere = torch.log(1 - p) * torch.pow(p, 2) * fall_off * y.lt(1)
    return -(at_peaks + elsewhere)


def gaussian_heatmap(z: Tensor, y: Tensor, alpha: float = 2.0, gamma: float = 4.0) -> Tensor:
    """GaussianFocalLoss of mmdet, of probabilities that nobody clamped."""
    p = torch.sigmoid(z)
    eps = 1e-12
    fall_off = (1 - y).pow(gamma)
    at_peaks = -(p + eps).log() * (1 - p).pow(alpha) * y.eq(1)
    elsewhere = -(1 - p + eps).log() * p.pow(alpha) * fall_off
    return at_peaks + elsewhere


def varifocal_mmdet(z: Tensor, y: Tensor, iou_weighted: bool = True) -> Tensor:
    """VarifocalLoss of mmdet, VarifocalNet and PaddleDetection: the modulator is differentiated."""
    positive = (y > 0).float()
    weight = y * positive if iou_weighted else positive
    modulator = (z.sigmoid() - y).abs().pow(2.0)
    weight = weight + 0.75 * modulator * (1 - positive)
    return cross_entropy(z, y) * weight


def varifocal_detr(z: Tensor, y: Tensor) -> Tensor:
    """RT-DETR and D-FINE in PyTorch, transformers: the modulator is constant."""
    negative = (y == 0).to(z.dtype)
    modulator = z.sigmoid().detach().pow(2.0)
    weight = 0.75 * modulator * negative + y
    return binary_cross_entropy_with_logits(z, y, weight=weight, reduction="none")


def matchability(z: Tensor, y: Tensor) -> Tensor:
    """MAL of DEIM, of overlaps y."""
    positive = (y > 0).to(z.dtype)
    modulator = z.sigmoid().detach().pow(1.5)
    weight = modulator * (1 - positive) + positive
    target = y.pow(1.5)
    return binary_cross_entropy_with_logits(z, target, weight=weight, reduction="none")


def overlap_aware_logs(z: Tensor, y: Tensor) -> Tensor:
    """IA-BCE of LW-DETR and RF-DETR in transformers, of their targets t."""
    p = z.sigmoid()
    negative = torch.where(y > 0, 1 - y, p**2)
    return -y * p.log() - negative * (1 - p).log()


def overlap_aware(z: Tensor, y: Tensor) -> Tensor:
    """IA-BCE in the repository of RF-DETR."""
    p = z.sigmoid()
    negative = torch.where(y > 0, 1 - y, p**2)
    return negative * z - logsigmoid(z) * (y + negative)


def quality_mmdet(z: Tensor, y: Tensor, beta: float = 2.0) -> Tensor:
    """QualityFocalLoss of mmdet and nanodet: first as if all were negatives, then overwritten."""
    p = z.sigmoid()
    zeros = torch.zeros_like(z)
    as_negatives = cross_entropy(z, zeros) * p.pow(beta)
    positive = y > 0
    distance = y[positive] - p[positive]
    entropy = cross_entropy(z[positive], y[positive])
    return as_negatives.index_put((positive,), entropy * distance.abs().pow(beta))


def quality_signed(z: Tensor, y: Tensor, beta: float = 2.0) -> Tensor:
    """QFL in the first repository of the paper's authors: no absolute value."""
    distance = y - z.sigmoid()
    return cross_entropy(z, y) * distance.pow(beta)


def asymmetric(
    z: Tensor,
    y: Tensor,
    gamma_neg: float = 4.0,
    gamma_pos: float = 1.0,
    clip: float = 0.05,
    constant: bool = False,
) -> Tensor:
    """AsymmetricLoss of its authors and of timm, of hard targets."""
    p = torch.sigmoid(z)
    q = 1 - p
    if clip > 0:
        q = (q + clip).clamp(max=1)
    of_ones = y * torch.log(p.clamp(min=1e-8))
    of_zeros = (1 - y) * torch.log(q.clamp(min=1e-8))
    p_t = p * y + q * (1 - y)
    exponent = gamma_pos * y + gamma_neg * (1 - y)
    factor = torch.pow(1 - p_t, exponent)
    if constant:
        factor = factor.detach()
    return -(of_ones + of_zeros) * factor


def equalized(z: Tensor, y: Tensor) -> Tensor:
    """Equalized focal loss with γ = 2, of a class whose exponent is 2 + 2."""
    p = z.sigmoid()
    p_t = p * y + (1 - p) * (1 - y)
    factor = torch.pow(1 - p_t, 4.0)
    return -torch.log(p_t) * factor * (4.0 / 2.0)

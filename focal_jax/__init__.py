"""The focal loss in JAX."""

from .losses import sigmoid_focal_loss, softmax_focal_loss
from .modules import SigmoidFocalLoss, SoftmaxFocalLoss, WeightedFocalLoss

__all__ = [
    "SigmoidFocalLoss",
    "SoftmaxFocalLoss",
    "WeightedFocalLoss",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
]

"""The focal loss in PyTorch."""

from .linear import linear_softmax_focal_loss
from .losses import sigmoid_focal_loss, softmax_focal_loss
from .modules import LinearSoftmaxFocalLoss, SigmoidFocalLoss, SoftmaxFocalLoss, WeightedFocalLoss

__all__ = [
    "LinearSoftmaxFocalLoss",
    "SigmoidFocalLoss",
    "SoftmaxFocalLoss",
    "WeightedFocalLoss",
    "linear_softmax_focal_loss",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
]

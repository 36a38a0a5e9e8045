"""The focal loss in JAX."""

from .hyperparameters import alpha_from_counts, gamma_flsd, prior_bias
from .linear import linear_softmax_focal_loss
from .losses import sigmoid_focal_loss, softmax_focal_loss
from .modules import LinearSoftmaxFocalLoss, SigmoidFocalLoss, SoftmaxFocalLoss, WeightedFocalLoss
from .posterior import posterior_from_focal
from .targets import two_hot

__version__ = "0.1.0"

__all__ = [
    "LinearSoftmaxFocalLoss",
    "SigmoidFocalLoss",
    "SoftmaxFocalLoss",
    "WeightedFocalLoss",
    "alpha_from_counts",
    "gamma_flsd",
    "linear_softmax_focal_loss",
    "posterior_from_focal",
    "prior_bias",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "two_hot",
]

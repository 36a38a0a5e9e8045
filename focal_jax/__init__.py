"""The focal loss in JAX."""

from .asymmetric import asymmetric_loss
from .detection import heatmap_focal_loss, varifocal_loss
from .family_modules import AsymmetricLoss, HeatmapFocalLoss, VarifocalLoss
from .hyperparameters import alpha_from_counts, gamma_flsd, prior_bias
from .linear import linear_softmax_focal_loss
from .losses import sigmoid_focal_loss, softmax_focal_loss
from .margins import focal, modulator, softmax_margin
from .modules import LinearSoftmaxFocalLoss, SigmoidFocalLoss, SoftmaxFocalLoss, WeightedFocalLoss
from .posterior import posterior_from_focal
from .targets import two_hot

__version__ = "0.1.0"

__all__ = [
    "AsymmetricLoss",
    "HeatmapFocalLoss",
    "LinearSoftmaxFocalLoss",
    "SigmoidFocalLoss",
    "SoftmaxFocalLoss",
    "VarifocalLoss",
    "WeightedFocalLoss",
    "alpha_from_counts",
    "asymmetric_loss",
    "focal",
    "gamma_flsd",
    "heatmap_focal_loss",
    "linear_softmax_focal_loss",
    "modulator",
    "posterior_from_focal",
    "prior_bias",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "softmax_margin",
    "two_hot",
    "varifocal_loss",
]

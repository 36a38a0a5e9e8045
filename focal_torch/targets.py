"""Class probabilities to train with."""

import torch
from torch import Tensor
from torch.fx import Proxy

from ._base.arguments import Arguments
from ._base.arrays import compute_dtype
from ._base.meshes import beside
from ._base.ranges import bins_of
from ._base.tracing import record


def two_hot(values: Tensor, classes: int) -> Tensor:
    """Class probabilities of numbers that lie between bins: those of the two bins next to a number
    v, with the mean v.

        y_k = max(0, 1 − |v − k|)    for the bins k = 0, 1, …, C − 1

    With γ = 0 the softmax focal loss of these targets is the distribution focal loss of box
    regression, which has no modulating factor; a larger γ adds one.

    Args:
        values: The numbers v in [0, C − 1], of any shape and any floating dtype.
        classes: C ≥ 1, the number of bins.

    Returns:
        What `targets=` of `softmax_focal_loss` takes with `axis=-1`: the shape of `values` with an
        axis of C classes behind it, and its dtype, or float32 for half precision. The derivative
        in v is −1 for the bin below and 1 for the bin above. At a bin it is that of larger numbers,
        at the last bin that of smaller ones.

    Raises:
        TypeError: `values` is not a tensor of floating-point numbers, or `classes` is not an
            integer.
        ValueError: There is no bin, or a value lies outside of [0, C − 1], where it is known.
            Elsewhere its probabilities are NaN.

    Examples:
        >>> import torch
        >>> two_hot(torch.tensor([1.25, 3.0]), 4).tolist()
        [[0.0, 0.75, 0.25, 0.0], [0.0, 0.0, 0.0, 1.0]]

    References:
        Li, Wang, Wu, Chen, Hu, Li, Tang, Yang: Generalized Focal Loss, 2020, arXiv:2006.04388,
        equation (6).
    """
    if isinstance(values, Proxy):
        return record(values, two_hot, locals())
    arguments = Arguments("two_hot")
    values = arguments.floating("values", values)
    classes = arguments.integer("classes", classes, "It is the number of bins.")
    if classes < 1:
        arguments.fail(ValueError, "classes", "at least 1", classes, "It is the number of bins.")
    v = values.to(compute_dtype(values))
    advice = "The last bin is C − 1: take more bins, or clip the values."
    v = arguments.in_range("values", v, bins_of(classes), advice)
    # The last bin has none above it.
    below = torch.floor(v).clamp(0, max(classes - 2, 0))[..., None]
    share_above = v[..., None] - below
    bins = beside(v, torch.arange(classes, dtype=v.dtype, device=v.device))
    above = torch.where(bins == below + 1, share_above, 0)
    probabilities = torch.where(bins == below, 1 - share_above, above)
    return torch.where(torch.isnan(share_above), torch.nan, probabilities)

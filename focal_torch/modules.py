"""The losses as modules that carry their settings."""

import torch
from torch import Tensor
from torch.distributed import ProcessGroup
from torch.fx import Proxy

from ._base.arguments import Arguments
from ._base.arrays import OneOrSeveral, Several
from ._base.ranges import NONNEGATIVE, UNIT, ZERO_OR_ONE
from ._base.settings import Settings
from ._base.tracing import record
from .linear import linear_softmax_focal_loss
from .losses import sigmoid_focal_loss, softmax_focal_loss


class LinearSoftmaxFocalLoss(Settings):
    """`linear_softmax_focal_loss` with its settings as fields.

    The layer stays where it is, an `nn.Linear` whose call is left out: its weight and bias are
    arguments.

    Examples:
        >>> import torch
        >>> loss = LinearSoftmaxFocalLoss(gamma=0.0)
        >>> print(f"{loss(torch.ones(2, 3), torch.zeros(4, 3), torch.tensor([0, 3])):.4f}")
        1.3863
    """

    def __init__(
        self,
        *,
        alpha: Several | None = None,
        gamma: OneOrSeveral = 2.0,
        softcap: float | None = None,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
        ignore_index: int | None = None,
        reduction: str = "mean",
        chunk_size: int | None = None,
        group: ProcessGroup | None = None,
        class_group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(
            alpha=alpha,
            gamma=gamma,
            softcap=softcap,
            label_smoothing=label_smoothing,
            z_loss=z_loss,
            ignore_index=ignore_index,
            reduction=reduction,
            chunk_size=chunk_size,
            group=group,
            class_group=class_group,
        )

    @torch.jit.unused
    def forward(
        self,
        features: Tensor,
        kernel: Tensor,
        targets: Tensor,
        *,
        bias: Tensor | None = None,
        where: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Tensor:
        return linear_softmax_focal_loss(
            features, kernel, targets, bias=bias, where=where, weight=weight, **self.settings()
        )


class SigmoidFocalLoss(Settings):
    """`sigmoid_focal_loss` with its settings as fields, and the mean by default.

    Use it like any loss of torch.nn. Without tensors among its settings it has no state. An α or γ
    that is an nn.Parameter is learned.

    Examples:
        >>> import torch
        >>> loss = SigmoidFocalLoss(alpha=None)
        >>> print(f"{loss(torch.tensor([0.0, 3.0]), torch.tensor([0, 1])):.4f}")
        0.0867
    """

    def __init__(
        self,
        *,
        alpha: OneOrSeveral | None = 0.25,
        gamma: OneOrSeveral = 2.0,
        soft_targets: str = "interpolate",
        ignore_index: int | None = None,
        reduction: str = "mean",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(
            alpha=alpha,
            gamma=gamma,
            soft_targets=soft_targets,
            ignore_index=ignore_index,
            reduction=reduction,
            group=group,
        )

    @torch.jit.unused
    def forward(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        where: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Tensor:
        return sigmoid_focal_loss(logits, targets, where=where, weight=weight, **self.settings())


class SoftmaxFocalLoss(Settings):
    """`softmax_focal_loss` with its settings as fields, and the mean by default.

    Use it like any loss of torch.nn. Without tensors among its settings it has no state. An α or γ
    that is an nn.Parameter is learned.

    Examples:
        >>> import torch
        >>> loss = SoftmaxFocalLoss(gamma=0.0)
        >>> print(f"{loss(torch.zeros(2, 4), torch.tensor([0, 3])):.4f}")
        1.3863
    """

    def __init__(
        self,
        *,
        alpha: Several | None = None,
        gamma: OneOrSeveral = 2.0,
        axis: int = 1,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        reduction: str = "mean",
        group: ProcessGroup | None = None,
        class_group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(
            alpha=alpha,
            gamma=gamma,
            axis=axis,
            label_smoothing=label_smoothing,
            ignore_index=ignore_index,
            reduction=reduction,
            group=group,
            class_group=class_group,
        )

    @torch.jit.unused
    def forward(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        where: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Tensor:
        return softmax_focal_loss(logits, targets, where=where, weight=weight, **self.settings())


class WeightedFocalLoss(Settings):
    """The focal loss of a widely copied PyTorch tutorial: mean of at·(1 − pt)^γ·BCE, with
    at = 1 − α for class 1.

    It gives that class's numbers for 1-D inputs and hard targets, so that models and tables made
    with it can be carried over. It differs from the paper, and from `sigmoid_focal_loss`, in one
    thing: class 1 is weighted with 1 − α and class 0 with α, which is the reverse. For a new model
    use `sigmoid_focal_loss`.

    It differs from the tutorial's code where that code went wrong without saying so: inputs of
    shape (N, 1) were broadcast to an (N, N) loss, (N, C) raised an error, soft targets were
    truncated to 0, and the weights lived on one GPU. Here every shape is weighted element by
    element, and soft targets raise a ValueError when their values are known; under `torch.compile`
    they give NaN.

    Examples:
        >>> import torch
        >>> print(f"{WeightedFocalLoss()(torch.tensor([2.0, -1.0]), torch.tensor([1, 0])):.4f}")
        0.0035
    """

    alpha: float
    gamma: float

    def __init__(self, alpha: float = 0.25, gamma: float = 2) -> None:
        super().__init__(alpha=alpha, gamma=gamma)

    @torch.jit.unused
    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return _weighted_focal_loss(inputs, targets, self.alpha, self.gamma)


def _weighted_focal_loss(inputs: Tensor, targets: Tensor, alpha: float, gamma: float) -> Tensor:
    if isinstance(inputs, Proxy):
        return record(inputs, _weighted_focal_loss, locals())
    arguments = Arguments("WeightedFocalLoss")
    alpha = arguments.number("alpha", alpha, UNIT, "It is the weight of class 0.")
    gamma = arguments.number("gamma", gamma, NONNEGATIVE, "It is the focusing exponent.")
    inputs = arguments.floating("inputs", inputs)
    targets = arguments.array("targets", targets)
    shape, advice = tuple(inputs.shape), "Reshape it, e.g. targets[:, None]."
    arguments.check_shape("targets", targets, shape, "like inputs", advice)
    advice = "For soft targets call sigmoid_focal_loss."
    arguments.check_values("targets", targets, ZERO_OR_ONE, advice)
    nan_if_soft = torch.where((targets == 0) | (targets == 1), 1.0, torch.nan)
    # With the classes swapped, α is the weight of class 1 in the paper's sense.
    return sigmoid_focal_loss(
        -inputs, targets == 0, alpha=alpha, gamma=gamma, weight=nan_if_soft, reduction="mean"
    )

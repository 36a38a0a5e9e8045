"""The losses of detectors and of many labels as modules that carry their settings."""

import torch
from torch import Tensor
from torch.distributed import ProcessGroup

from ._base.arrays import OneOrSeveral
from ._base.settings import Settings
from .asymmetric import asymmetric_loss
from .detection import heatmap_focal_loss, varifocal_loss


class VarifocalLoss(Settings):
    """`varifocal_loss` with its settings as fields, and the mean by default.

    Examples:
        >>> import torch
        >>> loss = VarifocalLoss(reduction="mean_positive")
        >>> print(f"{loss(torch.tensor([2.0, 0.0]), torch.tensor([0.8, 0.0])):.4f}")
        0.5515
    """

    def __init__(
        self,
        *,
        alpha: OneOrSeveral | None = 0.75,
        gamma: OneOrSeveral = 2.0,
        iou_weighted: bool = True,
        constant_modulator: bool = False,
        ignore_index: int | None = None,
        reduction: str = "mean",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(
            alpha=alpha,
            gamma=gamma,
            iou_weighted=iou_weighted,
            constant_modulator=constant_modulator,
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
        return varifocal_loss(logits, targets, where=where, weight=weight, **self.settings())


class HeatmapFocalLoss(Settings):
    """`heatmap_focal_loss` with its settings as fields, and the mean by default.

    Examples:
        >>> import torch
        >>> loss = HeatmapFocalLoss(reduction="mean_positive")
        >>> print(f"{loss(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.5])):.4f}")
        0.1841
    """

    def __init__(
        self,
        *,
        alpha: OneOrSeveral | None = None,
        gamma: OneOrSeveral = 2.0,
        beta: OneOrSeveral = 4.0,
        peak: float = 1.0,
        ignore_index: int | None = None,
        reduction: str = "mean",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(
            alpha=alpha,
            gamma=gamma,
            beta=beta,
            peak=peak,
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
        return heatmap_focal_loss(logits, targets, where=where, weight=weight, **self.settings())


class AsymmetricLoss(Settings):
    """`asymmetric_loss` with its settings as fields, and the mean by default.

    Examples:
        >>> import torch
        >>> loss = AsymmetricLoss(reduction="sum")
        >>> print(f"{loss(torch.tensor([0.0, 0.0]), torch.tensor([1, 0])):.4f}")
        0.3711
    """

    def __init__(
        self,
        *,
        alpha: OneOrSeveral | None = None,
        gamma_positive: OneOrSeveral = 1.0,
        gamma_negative: OneOrSeveral = 4.0,
        shift: float = 0.05,
        constant_modulator: bool = False,
        ignore_index: int | None = None,
        reduction: str = "mean",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(
            alpha=alpha,
            gamma_positive=gamma_positive,
            gamma_negative=gamma_negative,
            shift=shift,
            constant_modulator=constant_modulator,
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
        return asymmetric_loss(logits, targets, where=where, weight=weight, **self.settings())

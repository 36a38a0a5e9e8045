"""The losses of detectors and of many labels as callables that carry their settings."""

from dataclasses import dataclass

from jax import Array

from ._base.arrays import OneOrSeveral
from ._base.settings import Settings
from .asymmetric import asymmetric_loss
from .detection import heatmap_focal_loss, varifocal_loss


@dataclass(frozen=True, kw_only=True, eq=False)
class VarifocalLoss(Settings):
    """`varifocal_loss` with its settings as fields, and the mean by default.

    Examples:
        >>> import jax.numpy as jnp
        >>> loss = VarifocalLoss(reduction="mean_positive")
        >>> print(f"{loss(jnp.array([2.0, 0.0]), jnp.array([0.8, 0.0])):.4f}")
        0.5515
    """

    alpha: OneOrSeveral | None = 0.75
    gamma: OneOrSeveral = 2.0
    iou_weighted: bool = True
    constant_modulator: bool = False
    ignore_index: int | None = None
    reduction: str = "mean"
    axis_name: str | tuple[str, ...] | None = None

    def __call__(
        self,
        logits: Array,
        targets: Array,
        *,
        where: Array | None = None,
        weight: Array | None = None,
    ) -> Array:
        return varifocal_loss(logits, targets, where=where, weight=weight, **vars(self))


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatmapFocalLoss(Settings):
    """`heatmap_focal_loss` with its settings as fields, and the mean by default.

    Examples:
        >>> import jax.numpy as jnp
        >>> loss = HeatmapFocalLoss(reduction="mean_positive")
        >>> print(f"{loss(jnp.array([0.0, 0.0]), jnp.array([1.0, 0.5])):.4f}")
        0.1841
    """

    alpha: OneOrSeveral | None = None
    gamma: OneOrSeveral = 2.0
    beta: OneOrSeveral = 4.0
    peak: float = 1.0
    ignore_index: int | None = None
    reduction: str = "mean"
    axis_name: str | tuple[str, ...] | None = None

    def __call__(
        self,
        logits: Array,
        targets: Array,
        *,
        where: Array | None = None,
        weight: Array | None = None,
    ) -> Array:
        return heatmap_focal_loss(logits, targets, where=where, weight=weight, **vars(self))


@dataclass(frozen=True, kw_only=True, eq=False)
class AsymmetricLoss(Settings):
    """`asymmetric_loss` with its settings as fields, and the mean by default.

    Examples:
        >>> import jax.numpy as jnp
        >>> loss = AsymmetricLoss(reduction="sum")
        >>> print(f"{loss(jnp.array([0.0, 0.0]), jnp.array([1, 0])):.4f}")
        0.3711
    """

    alpha: OneOrSeveral | None = None
    gamma_positive: OneOrSeveral = 1.0
    gamma_negative: OneOrSeveral = 4.0
    shift: float = 0.05
    constant_modulator: bool = False
    ignore_index: int | None = None
    reduction: str = "mean"
    axis_name: str | tuple[str, ...] | None = None

    def __call__(
        self,
        logits: Array,
        targets: Array,
        *,
        where: Array | None = None,
        weight: Array | None = None,
    ) -> Array:
        return asymmetric_loss(logits, targets, where=where, weight=weight, **vars(self))

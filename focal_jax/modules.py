"""The losses as callables that carry their settings."""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from ._base.arguments import Arguments
from ._base.arrays import OneOrSeveral, Several
from ._base.ranges import NONNEGATIVE, UNIT, ZERO_OR_ONE
from ._base.settings import Settings
from .linear import linear_softmax_focal_loss
from .losses import sigmoid_focal_loss, softmax_focal_loss


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearSoftmaxFocalLoss(Settings):
    """`linear_softmax_focal_loss` with its settings as fields.

    The layer stays where it is, in Flax NNX e.g. an `nnx.Linear` whose call is left out: its kernel
    and bias are arguments.

    Examples:
        >>> import jax.numpy as jnp
        >>> loss = LinearSoftmaxFocalLoss(gamma=0.0)
        >>> print(f"{loss(jnp.ones((2, 3)), jnp.zeros((3, 4)), jnp.array([0, 3])):.4f}")
        1.3863
    """

    alpha: Several | None = None
    gamma: OneOrSeveral = 2.0
    softcap: float | None = None
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    ignore_index: int | None = None
    reduction: str = "mean"
    chunk_size: int | None = None
    axis_name: str | tuple[str, ...] | None = None
    class_axis_name: str | tuple[str, ...] | None = None

    def __call__(
        self,
        features: Array,
        kernel: Array,
        targets: Array,
        *,
        bias: Array | None = None,
        where: Array | None = None,
        weight: Array | None = None,
    ) -> Array:
        settings = vars(self)
        return linear_softmax_focal_loss(
            features, kernel, targets, bias=bias, where=where, weight=weight, **settings
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SigmoidFocalLoss(Settings):
    """`sigmoid_focal_loss` with its settings as fields, and the mean by default.

    Use it wherever a function is used: in a closure, as an attribute of a Flax NNX module, or as a
    field of a Linen module. It has no parameters of its own. For an α or γ that is traced or mapped
    over, call the function.

    Examples:
        >>> import jax.numpy as jnp
        >>> loss = SigmoidFocalLoss(alpha=None)
        >>> print(f"{loss(jnp.array([0.0, 3.0]), jnp.array([0, 1])):.4f}")
        0.0867
    """

    alpha: OneOrSeveral | None = 0.25
    gamma: OneOrSeveral = 2.0
    soft_targets: str = "interpolate"
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
        return sigmoid_focal_loss(logits, targets, where=where, weight=weight, **vars(self))


@dataclass(frozen=True, kw_only=True, eq=False)
class SoftmaxFocalLoss(Settings):
    """`softmax_focal_loss` with its settings as fields, and the mean by default.

    Use it wherever a function is used: in a closure, as an attribute of a Flax NNX module, or as a
    field of a Linen module. It has no parameters of its own. For an α or γ that is traced or mapped
    over, call the function.

    Examples:
        >>> import jax.numpy as jnp
        >>> loss = SoftmaxFocalLoss(gamma=0.0)
        >>> print(f"{loss(jnp.zeros((2, 4)), jnp.array([0, 3])):.4f}")
        1.3863
    """

    alpha: Several | None = None
    gamma: OneOrSeveral = 2.0
    axis: int = -1
    label_smoothing: float = 0.0
    ignore_index: int | None = None
    reduction: str = "mean"
    axis_name: str | tuple[str, ...] | None = None
    class_axis_name: str | tuple[str, ...] | None = None

    def __call__(
        self,
        logits: Array,
        targets: Array,
        *,
        where: Array | None = None,
        weight: Array | None = None,
    ) -> Array:
        return softmax_focal_loss(logits, targets, where=where, weight=weight, **vars(self))


@dataclass(frozen=True, eq=False)
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
    element, and soft targets raise a ValueError when their values are known; under `jax.jit` they
    give NaN.

    Examples:
        >>> import jax.numpy as jnp
        >>> print(f"{WeightedFocalLoss()(jnp.array([2.0, -1.0]), jnp.array([1, 0])):.4f}")
        0.0035
    """

    alpha: float = 0.25
    gamma: float = 2

    def __call__(self, inputs: Array, targets: Array) -> Array:
        arguments = Arguments("WeightedFocalLoss")
        alpha = arguments.number("alpha", self.alpha, UNIT, "It is the weight of class 0.")
        gamma = arguments.number("gamma", self.gamma, NONNEGATIVE, "It is the focusing exponent.")
        inputs = arguments.floating("inputs", inputs)
        targets = arguments.array("targets", targets)
        shape, advice = tuple(inputs.shape), "Reshape it, e.g. targets[:, None]."
        arguments.check_shape("targets", targets, shape, "like inputs", advice)
        advice = "For soft targets call sigmoid_focal_loss."
        arguments.check_values("targets", targets, ZERO_OR_ONE, advice)
        nan_if_soft = jnp.where((targets == 0) | (targets == 1), 1.0, jnp.nan)
        # With the classes swapped, α is the weight of class 1 in the paper's sense.
        return sigmoid_focal_loss(
            -inputs, targets == 0, alpha=alpha, gamma=gamma, weight=nan_if_soft, reduction="mean"
        )

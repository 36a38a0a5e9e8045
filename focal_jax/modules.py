"""The losses as callables that carry their settings."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from .checks import HARD, NONNEGATIVE, UNIT, Checks
from .linear import linear_softmax_focal_loss
from .losses import sigmoid_focal_loss, softmax_focal_loss


class Settings:
    """Hashable fields, arrays by identity: what `jax.jit` and Flax ask of the static parts of a module."""

    def _key(self) -> tuple[Any, ...]:
        constants: tuple[Any, ...] = (type(None), bool, int, float, str, tuple, np.generic)
        return type(self), *(x if isinstance(x, constants) else id(x) for x in vars(self).values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearSoftmaxFocalLoss(Settings):
    """`linear_softmax_focal_loss` with its settings as fields.

    The layer stays where it is, in Flax NNX e.g. an `nnx.Linear` whose call is left out: its kernel and bias are
    arguments.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = LinearSoftmaxFocalLoss(gamma=0.0)
        >>> print(f"{loss(jnp.ones((2, 3)), jnp.zeros((3, 4)), jnp.array([0, 3])):.4f}")
        1.3863
    """

    alpha: Array | None = None
    gamma: float | Array = 2.0
    softcap: float | None = None
    label_smoothing: float = 0.0
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
        return linear_softmax_focal_loss(features, kernel, targets, bias=bias, where=where, weight=weight, **vars(self))


@dataclass(frozen=True, kw_only=True, eq=False)
class SigmoidFocalLoss(Settings):
    """`sigmoid_focal_loss` with its settings as fields.

    Use it wherever a function is used: in a closure, as an attribute of a Flax NNX module, or as a field of a Linen
    module. It has no parameters of its own. For an α or γ that is traced or mapped over, call the function.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = SigmoidFocalLoss(alpha=None, reduction="mean")
        >>> print(f"{loss(jnp.array([0.0, 3.0]), jnp.array([0, 1])):.4f}")
        0.0867
    """

    alpha: float | Array | None = 0.25
    gamma: float | Array = 2.0
    soft_targets: str = "interpolate"
    reduction: str = "none"
    axis_name: str | tuple[str, ...] | None = None

    def __call__(
        self, logits: Array, targets: Array, *, where: Array | None = None, weight: Array | None = None
    ) -> Array:
        return sigmoid_focal_loss(logits, targets, where=where, weight=weight, **vars(self))


@dataclass(frozen=True, kw_only=True, eq=False)
class SoftmaxFocalLoss(Settings):
    """`softmax_focal_loss` with its settings as fields.

    Use it wherever a function is used: in a closure, as an attribute of a Flax NNX module, or as a field of a Linen
    module. It has no parameters of its own. For an α or γ that is traced or mapped over, call the function.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = SoftmaxFocalLoss(gamma=0.0, reduction="mean")
        >>> print(f"{loss(jnp.zeros((2, 4)), jnp.array([0, 3])):.4f}")
        1.3863
    """

    alpha: Array | None = None
    gamma: float | Array = 2.0
    axis: int = -1
    label_smoothing: float = 0.0
    ignore_index: int | None = None
    reduction: str = "none"
    axis_name: str | tuple[str, ...] | None = None
    class_axis_name: str | tuple[str, ...] | None = None

    def __call__(
        self, logits: Array, targets: Array, *, where: Array | None = None, weight: Array | None = None
    ) -> Array:
        return softmax_focal_loss(logits, targets, where=where, weight=weight, **vars(self))


@dataclass(frozen=True, eq=False)
class WeightedFocalLoss(Settings):
    """The focal loss of a widely copied PyTorch tutorial: mean of at·(1 − pt)^γ·BCE, with at = 1 − α for class 1.

    It gives that class's numbers for 1-D inputs and hard targets, so that models and tables made with it can be
    carried over. It differs from the paper, and from `sigmoid_focal_loss`, in one thing: class 1 is weighted with
    1 − α and class 0 with α, which is the reverse. For a new model use `sigmoid_focal_loss`.

    It differs from the tutorial's code where that code went wrong without saying so: inputs of shape (N, 1) were
    broadcast to an (N, N) loss, (N, C) raised an error, soft targets were truncated to 0, and the weights lived on
    one GPU. Here every shape is weighted element by element, and soft targets raise a ValueError when their values
    are known; under `jax.jit` they give NaN.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{WeightedFocalLoss()(jnp.array([2.0, -1.0]), jnp.array([1, 0])):.4f}")
        0.0035
    """

    alpha: float = 0.25
    gamma: float = 2

    def __call__(self, inputs: Array, targets: Array) -> Array:
        check = Checks("WeightedFocalLoss")
        alpha = check.number("alpha", self.alpha, UNIT, "It is the weight of class 0.")
        gamma = check.number("gamma", self.gamma, NONNEGATIVE, "It is the focusing exponent.")
        inputs, targets = check.logits(inputs, "inputs"), check.array("targets", targets)
        check.shape("targets", targets, tuple(inputs.shape), "like inputs", "Reshape it, e.g. targets[:, None].")
        check.values("targets", targets, HARD, "For soft targets call sigmoid_focal_loss.")
        hard = jnp.where((targets == 0) | (targets == 1), 1.0, jnp.nan)
        # With the classes swapped, α is the weight of class 1 in the paper's sense.
        return sigmoid_focal_loss(-inputs, targets == 0, alpha=alpha, gamma=gamma, weight=hard, reduction="mean")

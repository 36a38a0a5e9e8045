"""The arguments that the losses of single logits share: JAX here, PyTorch in the file of the same
name."""

from typing import Any, NamedTuple

from jax import Array
from jax.typing import DTypeLike

from .advice import advice_for_alpha, advice_for_target
from .arguments import Shape
from .arrays import Number, compute_dtype, is_floating, nan_outside, zero_outside
from .collectives import Group
from .loss_arguments import Axes, LossArguments
from .ranges import NONNEGATIVE, UNIT
from .reduction import REDUCTIONS
from .tracing import cast_inside, concrete_bool_targets, constants


class Elements(NamedTuple):
    """Logits, targets, factors and mask of one loss: each (…)."""

    arguments: LossArguments
    logits: Array
    # In [0, 1], or NaN; hard ones may be booleans or integers.
    y: Array
    weight: Array | None
    where: Array | None
    group: Group
    shape: Shape
    dtype: DTypeLike

    def alpha(self, x: object) -> Number | None:
        """α of class 1, of which class 0 has 1 − α."""
        if x is None:
            return None
        shared = (self.shape, UNIT, self.dtype, self.where, advice_for_alpha)
        return self.arguments.per_element("alpha", x, *shared)

    def exponent(self, argument: str, x: object) -> Number:
        """γ, or another number of at least 0."""
        shared = (self.shape, NONNEGATIVE, self.dtype, self.where)
        return self.arguments.per_element(argument, x, *shared)

    def reduced_by(self, reduction: str) -> tuple[Any, ...]:
        """The last arguments of a program."""
        return constants(self.weight, self.where, reduction, self.group)


def elements_of(
    function: str,
    logits: object,
    targets: object,
    ignore_index: int | None,
    where: object,
    weight: object,
    reduction: str,
    axis_name: Axes,
    *,
    hard: bool = False,
) -> Elements:
    """The checked arguments of the function of this name, which may have a formula of its own for
    hard targets; others have them as numbers."""
    arguments = LossArguments(function)
    logits = arguments.floating("logits", logits)
    targets = arguments.array("targets", targets)
    shape, dtype = tuple(logits.shape), compute_dtype(logits)
    # Shapes never broadcast: logits (N, 1) and targets (N,) would make N² losses.
    advice = "Reshape it, e.g. targets[:, None]."
    arguments.check_shape("targets", targets, shape, "like logits", advice)
    arguments.check_choice("reduction", reduction, REDUCTIONS)
    mask = arguments.where(where, shape)
    mask = arguments.without_ignored(targets, ignore_index, mask)
    factor = arguments.weight(weight, shape, dtype, mask)
    group = arguments.element_group(axis_name, reduction, logits, targets)
    if ignore_index is not None:
        targets = zero_outside(mask, targets)
    y = _hard_targets(arguments, targets, mask) if hard else None
    if y is None:
        y = _numbers(arguments, targets, dtype, mask)
    return Elements(arguments, logits, y, factor, mask, group, shape, dtype)


def _hard_targets(arguments: LossArguments, targets: Array, where: Array | None) -> Array | None:
    """Booleans, which floating targets of 0 and 1 become, too: soft ones need three times the
    operations. Integers whose values are not known; None for all others."""
    y = concrete_bool_targets(targets)
    if y is not None or is_floating(targets):
        return y
    arguments.check_values("targets", targets, UNIT, advice_for_target, where)
    return targets


def _numbers(
    arguments: LossArguments, targets: Array, dtype: DTypeLike, where: Array | None
) -> Array:
    """The targets (…) in a dtype."""
    y = cast_inside(where, targets, dtype)
    if is_floating(targets):
        return arguments.in_range("targets", y, UNIT, advice_for_target, where)
    # Integers are checked as they came.
    if arguments.check_values("targets", targets, UNIT, advice_for_target, where):
        return y
    return nan_outside(UNIT, y)

"""The arguments that the losses of single logits share: PyTorch here, JAX in the file of the same
name."""

from typing import NamedTuple

import torch
from torch import Tensor

from .advice import advice_for_alpha, advice_for_target
from .arguments import Shape
from .arrays import Number, compute_dtype, is_floating, nan_outside, zero_outside
from .collectives import Group
from .loss_arguments import LossArguments
from .meshes import beside
from .ranges import NONNEGATIVE, UNIT
from .reduction import REDUCTIONS, divisor_of, reduce
from .tracing import concrete_bool_targets


class Elements(NamedTuple):
    """Logits, targets, factors and mask of one loss: each (…)."""

    arguments: LossArguments
    logits: Tensor
    # In [0, 1], or NaN; hard ones may be booleans or integers.
    y: Tensor
    weight: Tensor | None
    where: Tensor | None
    # The mask as a plain tensor, by which values are checked.
    mask: Tensor | None
    reduction: str
    group: Group
    shape: Shape
    dtype: torch.dtype

    def alpha(self, x: object) -> Number | None:
        """α of class 1, of which class 0 has 1 − α."""
        if x is None:
            return None
        shared = (self.shape, UNIT, self.dtype, self.mask, advice_for_alpha)
        return beside(self.logits, self.arguments.per_element("alpha", x, *shared))

    def exponent(self, argument: str, x: object) -> Number:
        """γ, or another number of at least 0."""
        shared = (self.shape, NONNEGATIVE, self.dtype, self.mask)
        return beside(self.logits, self.arguments.per_element(argument, x, *shared))

    def held(self, constant_modulator: bool) -> Tensor | None:
        """The logits again, through which no derivative flows, for a constant modulator."""
        return self.logits.detach() if constant_modulator else None

    def reduced(self, loss: Tensor, positives: Tensor) -> Tensor:
        """The reduction of a loss, with what "mean_positive" adds up: each (…)."""
        elements = self.logits.numel()
        divisor = divisor_of(self.reduction, positives, self.where, elements, self.group)
        return reduce(loss, divisor, self.reduction, self.logits.dtype, self.group)


def elements_of(
    function: str,
    logits: object,
    targets: object,
    ignore_index: int | None,
    where: object,
    weight: object,
    reduction: str,
    group: object,
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
    ranks = arguments.element_group(group, reduction)
    if ignore_index is not None:
        targets = zero_outside(mask, targets)
    y = _hard_targets(arguments, targets, mask) if hard else None
    if y is None:
        y = _numbers(arguments, targets, dtype, mask)
    y, factor, inside = beside(logits, y), beside(logits, factor), beside(logits, mask)
    return Elements(arguments, logits, y, factor, inside, mask, reduction, ranks, shape, dtype)


def _hard_targets(arguments: LossArguments, targets: Tensor, where: Tensor | None) -> Tensor | None:
    """Booleans, which floating targets of 0 and 1 become, too: soft ones need three times the
    operations. Integers whose values are not known; None for all others."""
    y = concrete_bool_targets(targets)
    if y is not None or is_floating(targets):
        return y
    arguments.check_values("targets", targets, UNIT, advice_for_target, where)
    return targets


def _numbers(
    arguments: LossArguments, targets: Tensor, dtype: torch.dtype, where: Tensor | None
) -> Tensor:
    """The targets (…) in a dtype."""
    y = targets.to(dtype)
    if is_floating(targets):
        return arguments.in_range("targets", y, UNIT, advice_for_target, where)
    # Integers are checked as they came.
    if arguments.check_values("targets", targets, UNIT, advice_for_target, where):
        return y
    return nan_outside(UNIT, y)

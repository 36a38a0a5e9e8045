"""The losses from checked arguments to the result, each a program of its own.

An eager call then starts one program instead of fifty operations, and a jaxpr has one equation with
the name of the loss. PyTorch has no such file: its operations run one by one.

A program is called with what `constants` makes of its arguments: each value of what is no array has
a program of its own.
"""

import jax.numpy as jnp
from jax import Array

from .._base.arrays import Number, as_class_ids
from .._base.autodiff import ClosedForm
from .._base.collectives import Group, sum_over
from .._base.reduction import divisor_of, reduce
from .._base.tracing import after, compiled
from .softmax import class_focal, id_focal


@compiled
def sigmoid_focal(
    focal_of: ClosedForm,
    logits: Array,
    y: Array,
    alpha: Number | None,
    gamma: Number,
    weight: Array | None,
    where: Array | None,
    reduction: str,
    group: Group,
) -> Array:
    """The loss `focal_of` of logits and targets (…)."""
    divisor = divisor_of(reduction, y, where, logits.size, group)
    z = after(divisor, logits)
    loss = focal_of(z, y, alpha, gamma, weight=weight, where=where)
    return reduce(loss, divisor, reduction, logits.dtype, group)


@compiled
def softmax_focal_of_classes(
    logits: Array,
    y: Array,
    axis: int,
    alpha: Number,
    gamma: Number,
    smoothing: float,
    weight: Array | None,
    where: Array | None,
    reduction: str,
    group: Group,
    class_group: Group,
) -> Array:
    """The loss of logits and class probabilities, which have the classes on an axis."""
    z, y = jnp.moveaxis(logits, axis, -1), jnp.moveaxis(y, axis, -1)
    elements = z.size // z.shape[-1]
    loss = class_focal(z, y, alpha, gamma, smoothing, weight=weight, where=where, group=class_group)
    # What "mean_positive" divides by: the probabilities of an element need not add up to 1.
    total = sum_over(y.sum(-1), class_group)
    divisor = divisor_of(reduction, total, where, elements, group)
    return reduce(loss, divisor, reduction, logits.dtype, group)


@compiled
def softmax_focal_of_ids(
    logits: Array,
    ids: Array,
    axis: int,
    alpha: Number,
    gamma: Number,
    smoothing: float,
    weight: Array | None,
    where: Array | None,
    reduction: str,
    group: Group,
    class_group: Group,
) -> Array:
    """The loss of logits, which have the classes on an axis, and class ids (…)."""
    z, t = jnp.moveaxis(logits, axis, -1), as_class_ids(ids)[..., None]
    loss = id_focal(z, t, alpha, gamma, smoothing, weight=weight, where=where, group=class_group)
    divisor = divisor_of(reduction, ids, where, ids.size, group)
    return reduce(loss, divisor, reduction, logits.dtype, group)

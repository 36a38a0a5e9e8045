"""The losses from checked arguments to the result, each a program of its own.

An eager call then starts one program instead of fifty operations, and a jaxpr has one equation with
the name of the loss. PyTorch has no such file: its operations run one by one.

A program is called with what `constants` makes of its arguments: each value of what is no array has
a program of its own.
"""

import jax.numpy as jnp
from jax import Array, lax

from .._base.arrays import Number, as_class_ids, compute_dtype, zero_outside
from .._base.autodiff import ClosedForm
from .._base.collectives import Group, sum_over
from .._base.reduction import at_least_one, divisor_of, reduce
from .._base.tracing import after, compiled
from .._base.versions import has_one_device
from .asymmetric import asymmetric_focal
from .heatmap import heatmap_focal, peaks_of
from .linear_chunk import LayerSettings, RowInputs, SharedInputs
from .linear_scan import Split, losses_in_chunks, sum_over_chunks
from .softmax import class_focal, id_focal
from .varifocal import varifocal


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
def varifocal_of(
    logits: Array,
    y: Array,
    alpha: Number | None,
    gamma: Number,
    iou_weighted: bool,
    constant_modulator: bool,
    weight: Array | None,
    where: Array | None,
    reduction: str,
    group: Group,
) -> Array:
    """The varifocal loss of logits and targets (…)."""
    divisor = divisor_of(reduction, y, where, logits.size, group)
    z = after(divisor, logits)
    # The same numbers, through which no derivative flows.
    held = lax.stop_gradient(z) if constant_modulator else None
    loss = varifocal(z, held, y, alpha, gamma, iou_weighted, weight=weight, where=where)
    return reduce(loss, divisor, reduction, logits.dtype, group)


@compiled
def heatmap_focal_of(
    logits: Array,
    y: Array,
    alpha: Number | None,
    gamma: Number,
    beta: Number,
    peak: float,
    weight: Array | None,
    where: Array | None,
    reduction: str,
    group: Group,
) -> Array:
    """The loss of logits and heatmaps (…)."""
    # "mean_positive" counts peaks.
    divisor = divisor_of(reduction, peaks_of(y, peak), where, logits.size, group)
    z = after(divisor, logits)
    loss = heatmap_focal(z, y, alpha, gamma, beta, peak, weight=weight, where=where)
    return reduce(loss, divisor, reduction, logits.dtype, group)


@compiled
def asymmetric_of(
    logits: Array,
    y: Array,
    alpha: Number | None,
    gamma_positive: Number,
    gamma_negative: Number,
    shift: float,
    constant_modulator: bool,
    weight: Array | None,
    where: Array | None,
    reduction: str,
    group: Group,
) -> Array:
    """The asymmetric loss of logits and targets (…)."""
    divisor = divisor_of(reduction, y, where, logits.size, group)
    z = after(divisor, logits)
    held = lax.stop_gradient(z) if constant_modulator else None
    inputs = (z, held, y, alpha, gamma_positive, gamma_negative, shift)
    loss = asymmetric_focal(*inputs, weight=weight, where=where)
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


@compiled
def linear_softmax_focal(
    features: Array,
    kernel: Array,
    ids: Array,
    bias: Array | None,
    alpha: Array | None,
    gamma: float | None,
    class_gamma: Array | None,
    row_gamma: Array | None,
    softcap: float | None,
    smoothing: float,
    z_loss: float,
    weight: Array | None,
    where: Array | None,
    chunks: int,
    reduction: str,
    group: Group,
    class_group: Group,
) -> Array:
    """The loss of features (…, D), a kernel (D, C), and class ids (…), with γ as a number or one of
    the two arrays of `linear_chunk.py`."""
    # Else the gradient of the kernel would have 0·NaN in it.
    features = zero_outside(where, features)
    divisor = divisor_of(reduction, ids, where, ids.size, group)
    # On several devices collectives would have to be in all chunks or in none, and rows would move.
    skips = where is not None and chunks > 1 and has_one_device()
    if where is None and ids.size % chunks:
        # What fills up the last chunk is left out.
        where = jnp.ones(ids.shape, bool)
    settings = LayerSettings(gamma, softcap, smoothing, z_loss, class_group)
    rows = RowInputs(features, row_gamma, ids, weight, where)
    if divisor is not None:
        divisor = at_least_one(divisor, compute_dtype(features))
    shared = SharedInputs(alpha, bias, divisor, class_gamma, kernel)
    if reduction == "none":
        return losses_in_chunks(rows, shared, chunks, settings)
    return sum_over(sum_over_chunks(rows, shared, Split(chunks, skips), settings), group)

"""The softmax focal loss of a linear layer whose logits are never all there."""

import jax.numpy as jnp
from jax import Array

from .arrays import compute_dtype, keep, to_common
from .checks import NONNEGATIVE, POSITIVE, UNIT, Checks
from .chunks import losses_in_chunks, sum_over_chunks
from .collectives import count, sum_over
from .layer import Settings
from .reduction import REDUCTIONS, at_least_one, divisor_of


def linear_softmax_focal_loss(
    features: Array,
    kernel: Array,
    targets: Array,
    *,
    bias: Array | None = None,
    alpha: Array | None = None,
    gamma: float | Array = 2.0,
    softcap: float | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    where: Array | None = None,
    weight: Array | None = None,
    reduction: str = "mean",
    chunk_size: int | None = None,
    axis_name: str | tuple[str, ...] | None = None,
    class_axis_name: str | tuple[str, ...] | None = None,
) -> Array:
    """Softmax focal loss of the logits of a linear layer, of which only a chunk is ever in memory.

    With p = softmax(features·kernel + bias) and the class id t it is that of `softmax_focal_loss`:

        FL(p_t) = −α_t · (1 − p_t)^γ · log(p_t)

    The logits of a chunk of rows are made, give the loss and its slope, and are forgotten. So memory grows with
    `chunk_size` × C instead of rows × C, and value and gradient together take three products of matrices, as many as a
    layer that keeps its logits. With reduction "none" a gradient makes the logits again, which is a fourth.

    Args:
        features: What the layer takes, shape (…, D), of any floating dtype. A row of them is one element of the loss.
        kernel: The layer's kernel, shape (D, C) as in Flax; in `focal_torch` it is (C, D), as `torch.nn.Linear.weight`.
        targets: Integer class ids in [0, C), in the shape of `features` without its last axis.
        bias: None, or one number per class, shape (C,).
        alpha: One weight per class, shape (C,), finite and at least 0. None weights nothing.
        gamma: The focusing exponent γ ≥ 0: a number; an array of shape (C,), one γ per class; or an array with as many
            dimensions as `features` that broadcasts to (…, C), e.g. of length 1 on its last axis for one γ per row.
        softcap: None, or a number c > 0 for c·tanh(logits / c) in place of the logits.
        label_smoothing: ε in [0, 1]: the class of the target gets 1 − ε + ε/C, every other one ε/C.
        ignore_index: A class id, inside or outside [0, C), whose rows `where` shall leave out.
        where: Bool mask of the shape of `targets`, repeating dimensions of length 1. A row that it leaves out has
            loss 0 and gradient 0, whatever its features are.
        weight: A factor for each row, shaped like `where`.
        reduction: "none", "sum", "mean" (divides by the number of rows that are kept), or "mean_positive" (the same,
            since a row has one class). Neither α nor `weight` enters the divisor. Where nothing is kept the result
            is 0.
        chunk_size: How many rows have logits at a time; it need not divide their number. None: a quarter of D, so that
            the logits are a quarter of the kernel, but at least 128. Rows whose number `jax.export` leaves open are
            one chunk.
        axis_name: Inside of `jax.shard_map` the axes of the mesh that rows are split over: the sum and its divisor
            are then those of all devices. Outside, `jax.jit` sees to that by itself.
        class_axis_name: The same for the axes of the mesh that classes are split over, equally and in order. Class
            ids then count all classes; `kernel`, `bias`, `alpha` and `gamma` have the classes of their device.

    Returns:
        The loss of each row in the dtype of `features` and the shape of `targets` for "none"; otherwise a scalar, in
        float32 for half precision. Half precision has logits and sums of gradients in float32. A second
        derivative makes the logits again.

    Raises:
        TypeError: An argument is no array, or of the wrong dtype.
        ValueError: A shape does not fit, an option is unknown, or a value lies outside its range. Values are
            checked where they are known: for arrays on the CPU outside of `jax.jit` and `jax.vmap`.
            Elsewhere a class id outside [0, C) gives NaN at its row.

    Example:
        >>> import jax.numpy as jnp
        >>> features = jnp.array([[1.0, 2.0], [-1.0, 0.5]])
        >>> kernel = jnp.array([[3.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
        >>> print(f"{linear_softmax_focal_loss(features, kernel, jnp.array([0, 2]), gamma=0.5):.4f}")
        0.8046

    References:
        Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, 2017, arXiv:1708.02002, equations
        (4) and (5), with p_t from a softmax. Logits in chunks: Hsu et al., Liger Kernel, 2024, arXiv:2410.10989.
    """
    check = Checks("linear_softmax_focal_loss")
    features, kernel = check.logits(features, "features"), check.logits(kernel, "kernel")
    shape, classes = tuple(features.shape[:-1]), check.classes_of_kernel(kernel, features)
    features, kernel = to_common(features, kernel)
    dtype = compute_dtype(features)
    check.choice("reduction", reduction, REDUCTIONS)
    class_devices = check.class_devices(class_axis_name, kernel)
    bias = None if bias is None else check.bias(bias, classes)
    alpha = None if alpha is None else check.class_weights(alpha, classes, dtype)
    gamma = check.class_parameter("gamma", gamma, (*shape, classes), -1, NONNEGATIVE, dtype, class_devices)
    softcap = None if softcap is None else check.number("softcap", softcap, POSITIVE, "None caps nothing.")
    smoothing = check.number("label_smoothing", label_smoothing, UNIT, "0 smooths nothing.")
    where, weight = check.where(where, shape), check.weight(weight, shape, dtype)
    devices = check.devices(axis_name, reduction, features, targets)
    all_classes = classes * count(class_devices)
    t, where = check.class_ids(targets, shape, "features without their last axis", all_classes, ignore_index, where)
    chunks = _chunks(features, None if chunk_size is None else check.rows(chunk_size))

    if not isinstance(t.size, int) and chunk_size is not None:
        check.fail(ValueError, "chunk_size", f"None for the open shape {shape}", chunk_size, "Its rows are one chunk.")

    # Else the slope of the kernel would have 0·NaN in it.
    features = keep(where, features)
    divisor = divisor_of("mean" if reduction == "mean_positive" else reduction, t, where, t.size, devices)
    if where is None and t.size % chunks:
        # What fills up the last chunk is left out.
        where = jnp.ones(shape, bool)
    rows = {"features": features, "targets": t, "where": where, "weight": weight}
    shared = {"kernel": kernel, "bias": bias, "alpha": alpha}
    if isinstance(gamma, Array):
        # One exponent per class is shared, any other array has one or several for each row.
        (shared if gamma.ndim == 1 else rows)["gamma"] = gamma
    settings = Settings(None if isinstance(gamma, Array) else gamma, softcap, smoothing, class_devices)
    rows = {name: x for name, x in rows.items() if x is not None}
    shared = {name: x for name, x in shared.items() if x is not None}
    if reduction == "none":
        return losses_in_chunks(rows, shared, chunks, settings).astype(features.dtype)
    if divisor is not None:
        shared["divisor"] = at_least_one(divisor, dtype)
    return sum_over(sum_over_chunks(rows, shared, chunks, settings), devices)


def _chunks(features: Array, chunk_size: int | None) -> int:
    """How many chunks there are: with a quarter of the kernel's numbers, if nothing else is said."""
    size = features.shape[-1]
    rows = features.size // max(size, 1)
    if not isinstance(rows, int):
        return 1
    return max(1, -(-rows // (chunk_size or max(128, size // 4))))

"""The softmax focal loss fused with the linear layer before it, whose logits are never stored at
once."""

import jax
import jax.numpy as jnp
from jax import Array

from ._base.arrays import Number, OneOrSeveral, Several, compute_dtype, promote
from ._base.collectives import size
from ._base.loss_arguments import LossArguments
from ._base.ranges import NONNEGATIVE, POSITIVE, UNIT
from ._base.reduction import REDUCTIONS
from ._base.tracing import cast_inside, constants
from ._core.chunk_sizes import default_chunk_size
from ._core.programs import linear_softmax_focal


def linear_softmax_focal_loss(
    features: Array,
    kernel: Array,
    targets: Array,
    *,
    bias: Array | None = None,
    alpha: Several | None = None,
    gamma: OneOrSeveral = 2.0,
    softcap: float | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
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

    The logits of a chunk of rows are made, give the loss and its slope, and are forgotten. So
    memory grows with `chunk_size` × C instead of rows × C, and value and gradient together take
    three products of matrices, as many as a layer that keeps its logits. With reduction "none" a
    gradient makes the logits again, which is a fourth.

    Args:
        features: What the layer takes, shape (…, D), of any floating dtype. A row of them is one
            element of the loss.
        kernel: The layer's kernel, shape (D, C) as in Flax; in `focal_torch` it is (C, D), as
            `torch.nn.Linear.weight`.
        targets: Integer class ids in [0, C), in the shape of `features` without its last axis.
        bias: None, or one number per class, shape (C,).
        alpha: One weight per class, shape (C,), finite and at least 0. None weights nothing.
        gamma: The focusing exponent γ ≥ 0: a number; an array of shape (C,), one γ per class; or an
            array with as many dimensions as `features` that broadcasts to (…, C), e.g. of length 1
            on its last axis for one γ per row.
        softcap: None, or a number c > 0 for c·tanh(logits / c) in place of the logits.
        label_smoothing: ε in [0, 1]: the class of the target gets 1 − ε + ε/C, every other one ε/C.
        z_loss: ζ ≥ 0, finite: adds ζ·(log Σ_c exp(z_c))² to the loss of each row, with z its logits
            after `bias` and `softcap`, which keeps the logits from drifting (1e-4 in PaLM).
            `weight`, `where` and `reduction` apply to it as to the loss; `alpha`, `gamma` and
            `label_smoothing` do not.
        ignore_index: A class id, inside or outside [0, C), whose rows `where` shall leave out.
        where: Bool mask of the shape of `targets`, repeating dimensions of length 1. A row that it
            leaves out has loss 0 and gradient 0, whatever its features are. Where JAX has one
            device and no mesh, and reduction is not "none", rows that are kept come first and
            chunks without one are skipped: with half of the rows the products take half of the
            time. Elsewhere all logits are made.
        weight: A finite factor for each row, shaped like `where`.
        reduction: "none", "sum", "mean" (divides by the number of rows that are kept), or
            "mean_positive" (the same, since a row has one class). Neither α nor `weight` enters the
            divisor. Where nothing is kept the result is 0.
        chunk_size: How many rows of all devices have logits at a time; it need not divide their
            number. None: on a CPU a quarter of D, so that the logits are a quarter of the kernel,
            but at least 128; on a GPU or TPU as many as its products need to keep up with its
            memory, about a thousand in half precision, as far as their logits take no more memory
            than the gradient of the kernel. That is for one device: where rows are sharded,
            multiply it by the number of shards. Rows whose number `jax.export` leaves open are one
            chunk.
        axis_name: Inside of `jax.shard_map` the axes of the mesh that rows are split over: the sum
            and its divisor are then those of all devices. Outside, `jax.jit` sees to that by
            itself.
        class_axis_name: The same for the axes of the mesh that classes are split over, equally and
            in order. Class ids then count all classes; `kernel`, `bias`, `alpha` and `gamma` have
            the classes of their device.

    Returns:
        The loss of each row in the shape of `targets` for "none"; otherwise a scalar. For half
        precision both are float32. Half precision has logits and sums of
        gradients in float32. A second derivative makes the logits again.

    Raises:
        TypeError: An argument is no array, or of the wrong dtype.
        ValueError: A shape does not fit, an option is unknown, or a value lies outside its range.
            Values are checked where they are known: for arrays on the CPU outside of
            `jax.jit` and `jax.vmap`. Elsewhere one that is outside gives NaN at its
            row, in loss and gradient, unless a mask leaves it out.

    Examples:
        >>> import jax.numpy as jnp
        >>> features = jnp.array([[1.0, 2.0], [-1.0, 0.5]])
        >>> kernel = jnp.array([[3.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
        >>> targets = jnp.array([0, 2])
        >>> loss = linear_softmax_focal_loss(features, kernel, targets, gamma=0.5)
        >>> print(f"{loss:.4f}")
        0.8046

    References:
        Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, 2017,
        arXiv:1708.02002, equations (4) and (5), with p_t from a softmax. Logits in chunks: Hsu et
        al., Liger Kernel, 2024, arXiv:2410.10989. z-loss: Chowdhery et al., PaLM, 2022,
        arXiv:2204.02311, section 5.
    """
    arguments = LossArguments("linear_softmax_focal_loss")
    features = arguments.floating("features", features)
    kernel = arguments.floating("kernel", kernel)
    shape = tuple(features.shape[:-1])
    classes = arguments.classes_of_kernel(kernel, features)
    dtype = jnp.promote_types(compute_dtype(features), compute_dtype(kernel))
    arguments.check_choice("reduction", reduction, REDUCTIONS)
    class_ranks = arguments.class_group(class_axis_name, kernel)
    if bias is not None:
        bias = arguments.bias(bias, classes)
    if alpha is not None:
        alpha = arguments.class_weights(alpha, classes, dtype)
    if softcap is not None:
        softcap = arguments.number("softcap", softcap, POSITIVE, "None caps nothing.")
    smoothing = arguments.number("label_smoothing", label_smoothing, UNIT, "0 smooths nothing.")
    z_loss = arguments.number("z_loss", z_loss, NONNEGATIVE, "0 adds nothing.")
    where = arguments.where(where, shape)
    element_ranks = arguments.element_group(axis_name, reduction, features, targets)
    like, all_classes = "features without their last axis", classes * size(class_ranks)
    ids, where = arguments.class_ids(targets, shape, like, all_classes, ignore_index, where)
    gamma = arguments.per_class(
        "gamma", gamma, (*shape, classes), -1, NONNEGATIVE, dtype, class_ranks, where
    )
    weight = arguments.weight(weight, shape, dtype, where)
    if chunk_size is not None:
        chunk_size = arguments.chunk_size(chunk_size)
        if not isinstance(ids.size, int):
            expected = f"None for the open shape {shape}"
            arguments.fail(
                ValueError, "chunk_size", expected, chunk_size, "Its rows are one chunk."
            )
    chunks = _chunks(features, jnp.promote_types(features.dtype, kernel.dtype), chunk_size)

    # A product of matrices has one dtype.
    features, kernel = promote(cast_inside(where, features, features.dtype), kernel)
    # A row has one class, so every row is a positive.
    reduction = "mean" if reduction == "mean_positive" else reduction
    inputs = constants(features, kernel, ids, bias, alpha, *_split_gamma(gamma))
    options = constants(softcap, smoothing, z_loss, weight, where, chunks, reduction)
    return linear_softmax_focal(*inputs, *options, *constants(element_ranks, class_ranks))


def _split_gamma(gamma: Number) -> tuple[float | None, Array | None, Array | None]:
    """γ as a number, as one for each class, or as one or several for each row: two are None."""
    if not isinstance(gamma, Array):
        return gamma, None, None
    if gamma.ndim == 1:
        return None, gamma, None
    return None, None, gamma


def _chunks(features: Array, dtype: jnp.dtype, chunk_size: int | None) -> int:
    """How many chunks there are."""
    depth = features.shape[-1]
    rows = features.size // max(depth, 1)
    if not isinstance(rows, int):
        # jax.export leaves their number open.
        return 1
    if chunk_size is None:
        device = jax.devices()[0]
        chunk_size = default_chunk_size(depth, device.platform, device.device_kind, dtype)
    return max(1, -(-rows // chunk_size))

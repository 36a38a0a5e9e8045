"""The softmax focal loss of a linear layer whose logits are never all there."""

from torch import Tensor
from torch.distributed import ProcessGroup

from .arrays import compute_dtype, keep, to_common
from .checks import NONNEGATIVE, POSITIVE, UNIT, Checks
from .chunks import losses_in_chunks, sum_over_chunks
from .collectives import count, sum_over
from .layer import Settings
from .reduction import REDUCTIONS, at_least_one, divisor_of


def linear_softmax_focal_loss(
    features: Tensor,
    kernel: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    alpha: Tensor | None = None,
    gamma: float | Tensor = 2.0,
    softcap: float | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    where: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    chunk_size: int | None = None,
    group: ProcessGroup | None = None,
    class_group: ProcessGroup | None = None,
) -> Tensor:
    """Softmax focal loss of the logits of a linear layer, of which only a chunk is ever in memory.

    With p = softmax(features·kernelᵀ + bias) and the class id t it is that of `softmax_focal_loss`:

        FL(p_t) = −α_t · (1 − p_t)^γ · log(p_t)

    The logits of a chunk of rows are made, give the loss and its slope, and are forgotten. So memory grows with
    `chunk_size` × C instead of rows × C, and value and gradient together take three products of matrices, as many as a
    layer that keeps its logits. With reduction "none" a gradient makes the logits again, which is a fourth.

    Args:
        features: What the layer takes, shape (…, D), of any floating dtype. A row of them is one element of the loss.
        kernel: The layer's kernel, shape (C, D) as `torch.nn.Linear.weight`; in `focal_jax` it is (D, C), as in Flax.
        targets: Integer class ids in [0, C), in the shape of `features` without its last axis.
        bias: None, or one number per class, shape (C,).
        alpha: One weight per class, shape (C,), finite and at least 0. None weights nothing.
        gamma: The focusing exponent γ ≥ 0: a number; a tensor of shape (C,), one γ per class; or a tensor with as many
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
        chunk_size: How many rows have logits at a time; it need not divide their number. None: three eighths of D, so
            that the logits are three eighths of the kernel, but at least 192.
        group: The ranks that rows are split over: the sum and its divisor are then those of all ranks, and the
            average of their gradients, as DistributedDataParallel makes it, is the gradient of that loss.
        class_group: The ranks that classes are split over, equally and in order. Class ids then count all classes;
            `kernel`, `bias`, `alpha` and `gamma` have the classes of their rank. There are first derivatives, in
            reverse mode; the gradient in `features` is that of all classes.

    Returns:
        The loss of each row in the dtype of `features` and the shape of `targets` for "none"; otherwise a scalar, in
        float32 for half precision. Half precision has logits and sums of gradients in float32. Functions of torch.func,
        forward mode and second derivatives keep the logits of all chunks.

    Raises:
        TypeError: An argument is no tensor, or of the wrong dtype.
        ValueError: A shape does not fit, an option is unknown, or a value lies outside its range. Values are
            checked where they are known: for tensors on the CPU outside of `torch.compile` and `torch.vmap`.
            Elsewhere a class id outside [0, C) gives NaN at its row.

    Example:
        >>> import torch
        >>> features = torch.tensor([[1.0, 2.0], [-1.0, 0.5]])
        >>> kernel = torch.tensor([[3.0, 2.0], [0.0, 1.0], [1.0, 0.0]])
        >>> print(f"{linear_softmax_focal_loss(features, kernel, torch.tensor([0, 2]), gamma=0.5):.4f}")
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
    class_devices = check.class_devices(class_group, kernel, features)
    bias = None if bias is None else check.bias(bias, classes)
    alpha = None if alpha is None else check.class_weights(alpha, classes, dtype)
    gamma = check.class_parameter("gamma", gamma, (*shape, classes), -1, NONNEGATIVE, dtype, class_devices)
    softcap = None if softcap is None else check.number("softcap", softcap, POSITIVE, "None caps nothing.")
    smoothing = check.number("label_smoothing", label_smoothing, UNIT, "0 smooths nothing.")
    where, weight = check.where(where, shape), check.weight(weight, shape, dtype)
    devices = check.devices(group, reduction)
    all_classes = classes * count(class_devices)
    t, where = check.class_ids(targets, shape, "features without their last axis", all_classes, ignore_index, where)
    chunks = _chunks(features, None if chunk_size is None else check.rows(chunk_size))

    # Else the slope of the kernel would have 0·NaN in it.
    features = keep(where, features)
    divisor = divisor_of("mean" if reduction == "mean_positive" else reduction, t, where, t.numel(), devices)
    rows = {"features": features, "targets": t, "where": where, "weight": weight}
    shared = {"kernel": kernel, "bias": bias, "alpha": alpha}
    if isinstance(gamma, Tensor):
        # One exponent per class is shared, any other array has one or several for each row.
        (shared if gamma.ndim == 1 else rows)["gamma"] = gamma
    settings = Settings(None if isinstance(gamma, Tensor) else gamma, softcap, smoothing, class_devices)
    rows = {name: x for name, x in rows.items() if x is not None}
    shared = {name: x for name, x in shared.items() if x is not None}
    if reduction == "none":
        return losses_in_chunks(rows, shared, chunks, settings).to(features.dtype)
    if divisor is not None:
        shared["divisor"] = at_least_one(divisor, dtype)
    return sum_over(sum_over_chunks(rows, shared, chunks, settings), devices)


def _chunks(features: Tensor, chunk_size: int | None) -> int:
    """How many chunks there are: with three eighths of the kernel's numbers, if nothing else is said."""
    size = features.shape[-1]
    rows = features.numel() // max(size, 1)
    return max(1, -(-rows // (chunk_size or max(192, 3 * size // 8))))

"""The softmax focal loss fused with the linear layer before it, whose logits are never stored at
once."""

import torch
from torch import Tensor
from torch.distributed import ProcessGroup
from torch.fx import Proxy

from ._base.arrays import Number, OneOrSeveral, Several, compute_dtype, promote, zero_outside
from ._base.collectives import size, sum_over
from ._base.loss_arguments import LossArguments
from ._base.meshes import beside
from ._base.ranges import NONNEGATIVE, POSITIVE, UNIT
from ._base.reduction import REDUCTIONS, at_least_one, divisor_of
from ._base.tracing import record
from ._base.versions import device_name
from ._core.chunk_sizes import default_chunk_size
from ._core.linear_chunk import LayerSettings, RowInputs, SharedInputs
from ._core.linear_scan import losses_in_chunks, sum_over_chunks


def linear_softmax_focal_loss(
    features: Tensor,
    kernel: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    alpha: Several | None = None,
    gamma: OneOrSeveral = 2.0,
    softcap: float | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
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

    The logits of a chunk of rows are made, give the loss and its slope, and are forgotten. So
    memory grows with `chunk_size` × C instead of rows × C, and value and gradient together take
    three products of matrices, as many as a layer that keeps its logits. With reduction "none" a
    gradient makes the logits again, which is a fourth.

    Args:
        features: What the layer takes, shape (…, D), of any floating dtype. A row of them is one
            element of the loss.
        kernel: The layer's kernel, shape (C, D) as `torch.nn.Linear.weight`; in `focal_jax` it is
            (D, C), as in Flax.
        targets: Integer class ids in [0, C), in the shape of `features` without its last axis.
        bias: None, or one number per class, shape (C,).
        alpha: One weight per class, shape (C,), finite and at least 0. None weights nothing.
        gamma: The focusing exponent γ ≥ 0: a number; a tensor of shape (C,), one γ per class; or a
            tensor with as many dimensions as `features` that broadcasts to (…, C), e.g. of length 1
            on its last axis for one γ per row.
        softcap: None, or a number c > 0 for c·tanh(logits / c) in place of the logits.
        label_smoothing: ε in [0, 1]: the class of the target gets 1 − ε + ε/C, every other one ε/C.
        z_loss: ζ ≥ 0, finite: adds ζ·(log Σ_c exp(z_c))² to the loss of each row, with z its logits
            after `bias` and `softcap`, which keeps the logits from drifting (1e-4 in PaLM).
            `weight`, `where` and `reduction` apply to it as to the loss; `alpha`, `gamma` and
            `label_smoothing` do not.
        ignore_index: A class id, inside or outside [0, C), whose rows `where` shall leave out.
        where: Bool mask of the shape of `targets`, repeating dimensions of length 1. A row that it
            leaves out has loss 0 and gradient 0, whatever its features are; its logits are not
            made, so that with half of the rows the products take half of the time. On CUDA the
            host waits for the number of rows. Where it cannot be known (masks inside of torch.vmap,
            a CUDA graph), all logits are made.
        weight: A finite factor for each row, shaped like `where`.
        reduction: "none", "sum", "mean" (divides by the number of rows that are kept), or
            "mean_positive" (the same, since a row has one class). Neither α nor `weight` enters the
            divisor. Where nothing is kept the result is 0.
        chunk_size: How many rows have logits at a time; it need not divide their number. None:
            three eighths of D, so that the logits are three eighths of the kernel, but at least
            192. In half precision a GPU has as many as its products need to keep up with its
            memory, about a thousand, as far as their logits take no more memory than the gradient
            of the kernel.
        group: The ranks that rows are split over: the sum and its divisor are then those of all
            ranks, and the average of their gradients, as DistributedDataParallel makes it, is the
            gradient of that loss.
        class_group: The ranks that classes are split over, equally and in order. Class ids then
            count all classes; `kernel`, `bias`, `alpha` and `gamma` have the classes of their rank.
            There are first derivatives, in reverse mode; the gradient in `features` is that of all
            classes.

    Returns:
        The loss of each row in the shape of `targets` for "none"; otherwise a scalar. For half
        precision both are float32. Half precision has logits and sums of
        gradients in float32. Functions of torch.func, forward mode and second derivatives keep the
        logits of all chunks.

    Raises:
        TypeError: An argument is no tensor, or of the wrong dtype.
        ValueError: A shape does not fit, an option is unknown, or a value lies outside its range.
            Values are checked where they are known: for tensors on the CPU outside of
            `torch.compile` and `torch.vmap`. Elsewhere one that is outside gives NaN at its
            row, in loss and gradient, unless a mask leaves it out.

    Examples:
        >>> import torch
        >>> features = torch.tensor([[1.0, 2.0], [-1.0, 0.5]])
        >>> kernel = torch.tensor([[3.0, 2.0], [0.0, 1.0], [1.0, 0.0]])
        >>> targets = torch.tensor([0, 2])
        >>> loss = linear_softmax_focal_loss(features, kernel, targets, gamma=0.5)
        >>> print(f"{loss:.4f}")
        0.8046

    References:
        Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, 2017,
        arXiv:1708.02002, equations (4) and (5), with p_t from a softmax. Logits in chunks: Hsu et
        al., Liger Kernel, 2024, arXiv:2410.10989. z-loss: Chowdhery et al., PaLM, 2022,
        arXiv:2204.02311, section 5.
    """
    if isinstance(features, Proxy):
        return record(features, linear_softmax_focal_loss, locals())
    arguments = LossArguments("linear_softmax_focal_loss")
    features = arguments.floating("features", features)
    kernel = arguments.floating("kernel", kernel)
    shape = tuple(features.shape[:-1])
    classes = arguments.classes_of_kernel(kernel, features)
    # A product of matrices has one dtype.
    features, kernel = promote(features, kernel)
    dtype = compute_dtype(features)
    arguments.check_choice("reduction", reduction, REDUCTIONS)
    class_ranks = arguments.class_group(class_group, kernel, features)
    if bias is not None:
        bias = arguments.bias(bias, classes)
    if alpha is not None:
        alpha = arguments.class_weights(alpha, classes, dtype)
    if softcap is not None:
        softcap = arguments.number("softcap", softcap, POSITIVE, "None caps nothing.")
    smoothing = arguments.number("label_smoothing", label_smoothing, UNIT, "0 smooths nothing.")
    z_loss = arguments.number("z_loss", z_loss, NONNEGATIVE, "0 adds nothing.")
    where = arguments.where(where, shape)
    element_ranks = arguments.element_group(group, reduction)
    like, all_classes = "features without their last axis", classes * size(class_ranks)
    ids, where = arguments.class_ids(targets, shape, like, all_classes, ignore_index, where)
    gamma = arguments.per_class(
        "gamma", gamma, (*shape, classes), -1, NONNEGATIVE, dtype, class_ranks, where
    )
    weight = arguments.weight(weight, shape, dtype, where)
    if chunk_size is not None:
        chunk_size = arguments.chunk_size(chunk_size)
    chunks = _chunks(features, features.dtype, chunk_size)

    # Else the gradient of the kernel would have 0·NaN in it.
    features = zero_outside(beside(features, where), features)
    # A row has one class, so every row is a positive.
    divides_by = "mean" if reduction == "mean_positive" else reduction
    divisor = divisor_of(divides_by, ids, where, ids.numel(), element_ranks)
    number, class_gamma, row_gamma = _split_gamma(gamma)
    settings = LayerSettings(number, softcap, smoothing, z_loss, class_ranks)
    rows = RowInputs(features, row_gamma, ids, weight, where)
    if divisor is not None:
        divisor = at_least_one(divisor, dtype)
    shared = SharedInputs(alpha, bias, divisor, class_gamma, kernel)
    if reduction == "none":
        return losses_in_chunks(rows, shared, chunks, settings)
    return sum_over(sum_over_chunks(rows, shared, chunks, settings), element_ranks)


def _split_gamma(gamma: Number) -> tuple[float | None, Tensor | None, Tensor | None]:
    """γ as a number, as one for each class, or as one or several for each row: two are None."""
    if not isinstance(gamma, Tensor):
        return gamma, None, None
    if gamma.ndim == 1:
        return None, gamma, None
    return None, None, gamma


def _chunks(features: Tensor, dtype: torch.dtype, chunk_size: int | None) -> int:
    """How many chunks there are."""
    depth = features.shape[-1]
    rows = features.numel() // max(depth, 1)
    if chunk_size is None:
        device = features.device
        chunk_size = default_chunk_size(depth, device.type, device_name(device), dtype)
    return max(1, -(-rows // chunk_size))

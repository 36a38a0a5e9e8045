"""The focal losses: arguments, then one formula of the margin, then a reduction."""

import jax.numpy as jnp
from jax import Array

from ._base.arrays import OneOrSeveral, Several, compute_dtype, is_floating
from ._base.collectives import size
from ._base.elements import elements_of
from ._base.loss_arguments import LossArguments
from ._base.ranges import NONNEGATIVE, UNIT
from ._base.reduction import REDUCTIONS
from ._base.tracing import cast_inside, constants
from ._core.interpolated import interpolated_focal
from ._core.programs import sigmoid_focal, softmax_focal_of_classes, softmax_focal_of_ids
from ._core.quality import quality_focal
from ._core.sigmoid import hard_focal, mixture_focal

SOFT_TARGETS = {
    "interpolate": interpolated_focal,
    "mixture": mixture_focal,
    "quality": quality_focal,
}


def sigmoid_focal_loss(
    logits: Array,
    targets: Array,
    *,
    alpha: OneOrSeveral | None = 0.25,
    gamma: OneOrSeveral = 2.0,
    soft_targets: str = "interpolate",
    ignore_index: int | None = None,
    where: Array | None = None,
    weight: Array | None = None,
    reduction: str = "none",
    axis_name: str | tuple[str, ...] | None = None,
) -> Array:
    """Focal loss for binary and multi-label classification.

    With p = σ(logits), p_t = p and α_t = α for targets 1, and p_t = 1 − p and α_t = 1 − α for
    targets 0:

        FL(p_t) = −α_t · (1 − p_t)^γ · log(p_t)

    It is computed as a function of the margin u = ±logits, so value and derivatives keep their
    relative accuracy in both tails and are finite for every γ ≥ 0. γ = 0 is the binary cross
    entropy.

    Args:
        logits: Unnormalised scores of any shape and any floating dtype. Arithmetic is in float32 at
            least.
        targets: The truth, in the shape of `logits`: bool, integer 0 or 1, or floating in [0, 1].
        alpha: The weight α of class 1 in [0, 1]; class 0 gets 1 − α. A number, or an array that
            broadcasts to the shape of `logits`, e.g. one α per class on its last axis; a list, too.
            None weights nothing.
        gamma: The focusing exponent γ ≥ 0: a number, or an array that broadcasts to the shape of
            `logits`.
        soft_targets: The rule for targets y between 0 and 1. "interpolate":
            p_t = y·p + (1 − y)·(1 − p), α_t likewise, and the cross entropy with y in place of
            −log p_t. "mixture": y times the loss of class 1 plus 1 − y times that of class 0.
            "quality": α_t·|p − y|^γ times that cross entropy, which for γ > 0 is 0 at p = y; a γ
            below 1 makes its slope grow without bound towards that point.
        ignore_index: A value of `targets`, e.g. 255 of void pixels or −1 of missing labels, whose
            elements `where` shall leave out.
        where: Bool mask of the shape of `logits`, repeating dimensions of length 1. An element that
            it leaves out has loss 0 and gradient 0, whatever its logit is.
        weight: A finite factor for each element, shaped like `where`.
        reduction: "none", "sum", "mean" (divides by the number of elements that `where` keeps), or
            "mean_positive" (divides by the sum of the targets that `where` keeps, at least 1).
            Neither α nor `weight` enters a divisor. Where nothing is kept the result is 0.
        axis_name: Inside of `jax.shard_map` the axes of the mesh that elements are split over: the
            sum and its divisor are then those of all devices. Outside, `jax.jit` sees to that by
            itself.

    Returns:
        The loss of each element in the shape and dtype of `logits` for "none"; otherwise a scalar,
        in float32 for half precision. A logit NaN gives NaN; a logit ±inf gives 0 or inf, with
        gradient 0 or ∓α_t.

    Raises:
        TypeError: An argument is no array, or of the wrong dtype.
        ValueError: Shapes differ (nothing is broadcast between logits and targets), an option is
            unknown, or a value lies outside its range. Values are checked where they are known: for
            arrays on the CPU outside of `jax.jit` and `jax.vmap`. Elsewhere one that is outside
            gives NaN at its element, in loss, gradient and divisor, unless a mask leaves it out.

    Examples:
        >>> import jax.numpy as jnp
        >>> logits, targets = jnp.array([20.0, 0.0, -2.0]), jnp.array([1, 0, 1])
        >>> [f"{x:.4g}" for x in sigmoid_focal_loss(logits, targets, alpha=None)]
        ['8.757e-27', '0.1733', '1.65']

    References:
        Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, 2017,
        arXiv:1708.02002, equation (5); equation (4) with `alpha=None`. "mean_positive" is the
        normalisation of its section 4.1. "quality" is the quality focal loss of Li et al.,
        Generalized Focal Loss, 2020, arXiv:2006.04388.
    """
    shared = (ignore_index, where, weight, reduction, axis_name)
    elements = elements_of("sigmoid_focal_loss", logits, targets, *shared, hard=True)
    elements.arguments.check_choice("soft_targets", soft_targets, tuple(SOFT_TARGETS))
    alpha = elements.alpha(alpha)
    gamma = elements.exponent("gamma", gamma)
    focal_of = SOFT_TARGETS[soft_targets] if is_floating(elements.y) else hard_focal
    inputs = constants(focal_of, elements.logits, elements.y, alpha, gamma)
    return sigmoid_focal(*inputs, *elements.reduced_by(reduction))


def softmax_focal_loss(
    logits: Array,
    targets: Array,
    *,
    alpha: Several | None = None,
    gamma: OneOrSeveral = 2.0,
    axis: int = -1,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    where: Array | None = None,
    weight: Array | None = None,
    reduction: str = "none",
    axis_name: str | tuple[str, ...] | None = None,
    class_axis_name: str | tuple[str, ...] | None = None,
) -> Array:
    """Focal loss for classification into one of C classes.

    With p = softmax(logits) and the class id t:

        FL(p_t) = −α_t · (1 − p_t)^γ · log(p_t)

    It is computed as a function of the margin u = logits_t − logsumexp of all other logits, where
    1 − p_t = σ(−u), so that confident predictions keep a loss and a gradient. γ = 0 is the cross
    entropy.

    Args:
        logits: Unnormalised scores of any floating dtype, with the classes on `axis`. Arithmetic is
            in float32 at least.
        targets: Integer class ids in [0, C), in the shape of `logits` without `axis`; or floating
            class probabilities y in the shape of `logits`, whose loss is
            Σ_c y_c·α_c·(1 − p_c)^γ·(−log p_c).
        alpha: One weight per class, shape (C,), finite and at least 0; a list, too. None weights
            nothing.
        gamma: The focusing exponent γ ≥ 0: a number; an array of shape (C,), one γ per class; or an
            array with all dimensions of `logits` that broadcasts to it, e.g. of length 1 on `axis`
            for one γ per sample.
        axis: The axis of the classes. The default is the last one; in `focal_torch` it is 1, as in
            torch.nn.
        label_smoothing: ε in [0, 1]: class probabilities y become (1 − ε)·y + ε/C.
        ignore_index: A class id, inside or outside [0, C), whose elements `where` shall leave out.
        where: Bool mask of the shape of the unreduced loss, repeating dimensions of length 1. An
            element that it leaves out has loss 0 and gradient 0, whatever its logits are.
        weight: A finite factor for each element, shaped like `where`.
        reduction: "none", "sum", "mean" (divides by the number of elements that are kept), or
            "mean_positive" (divides by the sum of the class probabilities that are kept, at least
            1; for class ids that is "mean"). Neither α nor `weight` enters a divisor. Where nothing
            is kept the result is 0.
        axis_name: Inside of `jax.shard_map` the axes of the mesh that elements are split over: the
            sum and its divisor are then those of all devices. Outside, `jax.jit` sees to that by
            itself.
        class_axis_name: The same for the axes of the mesh that classes are split over, equally and
            in order. Class ids then count all classes; `alpha` and `gamma` have the classes of
            their device.

    Returns:
        The loss of each element in the dtype of `logits` and its shape without `axis` for "none";
        otherwise a scalar, in float32 for half precision. A logit ±inf gives 0 or inf; several
        +inf, nothing but −inf, or a NaN among the logits of an element give NaN there.

    Raises:
        TypeError: An argument is no array, or of the wrong dtype.
        ValueError: A shape does not fit, an option is unknown, or a value lies outside its range.
            Values are checked where they are known: for arrays on the CPU outside of
            `jax.jit` and `jax.vmap`. Elsewhere one that is outside gives NaN at its
            element, in loss, gradient and divisor, unless a mask leaves it out.

    Examples:
        >>> import jax.numpy as jnp
        >>> logits = jnp.array([[20.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
        >>> targets = jnp.array([0, 1])
        >>> [f"{x:.4g}" for x in softmax_focal_loss(logits, targets)]
        ['7.005e-26', '0.8029']

    References:
        Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, 2017,
        arXiv:1708.02002, equations (4) and (5), with p_t from a softmax.
    """
    arguments = LossArguments("softmax_focal_loss")
    logits = arguments.floating("logits", logits)
    targets = arguments.array("targets", targets)
    axis = arguments.axis(axis, logits)
    dtype = compute_dtype(logits)
    shape = tuple(logits.shape)
    classes = shape[axis]
    rows = shape[:axis] + shape[axis % len(shape) + 1 :]
    arguments.check_choice("reduction", reduction, REDUCTIONS)
    class_ranks = arguments.class_group(class_axis_name, logits)
    weights = 1.0 if alpha is None else arguments.class_weights(alpha, classes, dtype)
    smoothing = arguments.number("label_smoothing", label_smoothing, UNIT, "0 smooths nothing.")
    where = arguments.where(where, rows)
    element_ranks = arguments.element_group(axis_name, reduction, logits, targets)
    ids = None
    if not is_floating(targets):
        like, all_classes = "logits without its class axis", classes * size(class_ranks)
        ids, where = arguments.class_ids(targets, rows, like, all_classes, ignore_index, where)
    gamma = arguments.per_class("gamma", gamma, shape, axis, NONNEGATIVE, dtype, class_ranks, where)
    weight = arguments.weight(weight, rows, dtype, where)

    if ids is None:
        advice = "Class ids are integers."
        arguments.check_shape("targets", targets, shape, "like logits", advice)
        if ignore_index is not None:
            expected = "None for class probabilities"
            arguments.fail(ValueError, "ignore_index", expected, ignore_index, "Use where.")
        mask = None if where is None else jnp.expand_dims(where, axis)
        advice = "They are probabilities, no logits. Leave others out with where."
        y = cast_inside(mask, targets, dtype)
        y = arguments.in_range("targets", y, UNIT, advice, mask)
        inputs = constants(logits, y, axis, weights, gamma, smoothing, weight, where)
        return softmax_focal_of_classes(*inputs, *constants(reduction, element_ranks, class_ranks))

    # An element has one class, so for ids every element is a positive.
    reduction = "mean" if reduction == "mean_positive" else reduction
    inputs = constants(logits, ids, axis, weights, gamma, smoothing, weight, where)
    return softmax_focal_of_ids(*inputs, *constants(reduction, element_ranks, class_ranks))

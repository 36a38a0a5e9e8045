"""What other losses of the margin are made of: the margin of a softmax, the focal loss of a margin,
and its modulating factor."""

import jax.numpy as jnp
from jax import Array

from ._base.arguments import Arguments
from ._base.arrays import (
    Number,
    OneOrSeveral,
    as_class_ids,
    compute_dtype,
    dtype_name,
    is_floating,
    upcast,
)
from ._base.collectives import ALONE
from ._base.loss_arguments import LossArguments
from ._base.ranges import NONNEGATIVE, ids_of
from ._core import focal as formulas
from ._core.softmax import id_margin


def softmax_margin(logits: Array, targets: Array, *, axis: int = -1) -> Array:
    """The margin of the true class: how far its logit is ahead of all others.

        u = logits_t − log Σ_{k≠t} exp(logits_k)

    With p = softmax(logits), σ(u) = p_t and σ(−u) = 1 − p_t, so that losses of p_t are functions of
    the margin. Written in it they keep their relative accuracy where p_t is close to 1.

    Args:
        logits: Unnormalised scores of any floating dtype, with the classes on `axis`.
        targets: Integer class ids in [0, C), in the shape of `logits` without `axis`.
        axis: The axis of the classes. The default is the last one; in `focal_torch` it is 1, as in
            torch.nn.

    Returns:
        The margins in the shape of `targets` and the dtype of `logits`, or float32 for half
        precision. For a single class they are inf. Several logits of +inf, nothing but −inf, or a
        NaN among the logits of an element give NaN there.

    Raises:
        TypeError: An argument is no array, or of the wrong dtype.
        ValueError: A shape does not fit, or a class id is none of the classes, where it is known.
            Elsewhere its margin is NaN.

    Examples:
        >>> import jax.numpy as jnp
        >>> logits = jnp.array([[20.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
        >>> [f"{x:.4f}" for x in softmax_margin(logits, jnp.array([0, 1]))]
        ['19.3069', '-1.1269']

    References:
        Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, 2017,
        arXiv:1708.02002, appendix A, has x_t = ±x as the margin of a sigmoid.
    """
    arguments = LossArguments("softmax_margin")
    logits = arguments.floating("logits", logits)
    targets = arguments.array("targets", targets)
    axis = arguments.axis(axis, logits)
    shape = tuple(logits.shape)
    rows = shape[:axis] + shape[axis % len(shape) + 1 :]
    if is_floating(targets):
        advice = "Of class probabilities every class has a margin."
        arguments.fail(TypeError, "targets", "integer class ids", dtype_name(targets), advice)
    like = "like logits without its class axis"
    arguments.check_shape("targets", targets, rows, like, "An element has one class.")
    arguments.check_values("targets", targets, ids_of(shape[axis]), "The first class is 0.")
    z = jnp.moveaxis(logits, axis, -1)
    t = as_class_ids(targets)[..., None]
    return id_margin(z, t, where=None, group=ALONE)


def focal(margins: Array, gamma: OneOrSeveral = 2.0) -> Array:
    """The focal loss of a margin: f(u; γ) = σ(−u)^γ·softplus(−u).

    σ(−u) is 1 − p_t and softplus(−u) is −log p_t. The margin of a binary loss is the logit for
    class 1 and the negative logit for class 0; `softmax_margin` has that of several classes.

    Args:
        margins: Margins u of any shape and any floating dtype.
        gamma: The focusing exponent γ ≥ 0: a number, or an array that broadcasts to the shape of
            `margins`.

    Returns:
        The losses, in the shape and dtype of `margins`, or float32 for half precision.

    Raises:
        TypeError: An argument is no array of floating-point numbers.
        ValueError: γ has a shape that does not fit, or is negative or not finite, where that is
            known. Elsewhere it gives NaN.

    Examples:
        >>> import jax.numpy as jnp
        >>> [f"{x:.4g}" for x in focal(jnp.array([20.0, 0.0, -2.0]))]
        ['8.757e-27', '0.1733', '1.65']

    References:
        Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, 2017,
        arXiv:1708.02002, equation (4).
    """
    u, exponent = _margins_and_gamma("focal", margins, gamma)
    return formulas.focal(u, exponent)


def modulator(margins: Array, gamma: OneOrSeveral = 2.0) -> Array:
    """The modulating factor of a margin: σ(−u)^γ = (1 − p_t)^γ.

    Args:
        margins: Margins u of any shape and any floating dtype.
        gamma: The focusing exponent γ ≥ 0: a number, or an array that broadcasts to the shape of
            `margins`.

    Returns:
        The factors, in the shape and dtype of `margins`, or float32 for half precision.

    Raises:
        TypeError: An argument is no array of floating-point numbers.
        ValueError: γ has a shape that does not fit, or is negative or not finite, where that is
            known. Elsewhere it gives NaN.

    Examples:
        >>> import jax.numpy as jnp
        >>> [f"{x:.4g}" for x in modulator(jnp.array([20.0, 0.0, -2.0]))]
        ['4.248e-18', '0.25', '0.7758']

    References:
        Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, 2017,
        arXiv:1708.02002, equation (4).
    """
    u, exponent = _margins_and_gamma("modulator", margins, gamma)
    return formulas.modulating_factor(u, exponent)


def _margins_and_gamma(function: str, margins: Array, gamma: OneOrSeveral) -> tuple[Array, Number]:
    arguments = Arguments(function)
    # In float32 at least, and left there: others compute with the result.
    u = upcast(arguments.floating("margins", margins))
    shape, dtype = tuple(u.shape), compute_dtype(u)
    return u, arguments.per_element("gamma", gamma, shape, NONNEGATIVE, dtype)

"""The focal losses of detectors whose targets are more than a class: an overlap, or a heatmap."""

from jax import Array

from ._base.arrays import OneOrSeveral
from ._base.elements import elements_of
from ._base.ranges import NOT_ZERO_UNIT
from ._base.tracing import constants
from ._core.programs import heatmap_focal_of, varifocal_of


def varifocal_loss(
    logits: Array,
    targets: Array,
    *,
    alpha: OneOrSeveral | None = 0.75,
    gamma: OneOrSeveral = 2.0,
    iou_weighted: bool = True,
    constant_modulator: bool = False,
    ignore_index: int | None = None,
    where: Array | None = None,
    weight: Array | None = None,
    reduction: str = "none",
    axis_name: str | tuple[str, ...] | None = None,
) -> Array:
    """Varifocal loss of detectors whose scores are to predict an overlap.

    With p = σ(logits), and a target y that is the overlap (IoU) of a matched box, and 0 elsewhere:

        y > 0:    −w·(y·log p + (1 − y)·log(1 − p))    with w = y, or 1
        y = 0:    −α·p^γ·log(1 − p)

    Positives are not modulated: those with a large overlap count most. Two other losses are
    settings of it. With the overlap to the power of γ as the target, `alpha=None`,
    `iou_weighted=False` and `constant_modulator=True` it is the matchability-aware loss (MAL) of
    DEIM. With the target of RF-DETR, `alpha=None` and `iou_weighted=False` it is the IoU-aware
    cross entropy (IA-BCE).

    Args:
        logits: Unnormalised scores of any shape and any floating dtype. Arithmetic is in float32 at
            least.
        targets: The overlaps in [0, 1], in the shape of `logits`. Those above 0 are positives.
        alpha: The weight α ≥ 0 of the negatives, as in the paper, and of nothing else: a number,
            or an array that broadcasts to the shape of `logits`. None weights nothing.
        gamma: The focusing exponent γ ≥ 0 of the negatives: a number, or an array that broadcasts
            to the shape of `logits`.
        iou_weighted: Whether a positive is weighted with its target.
        constant_modulator: Whether p^γ is constant in the logits. The loss is the same. The
            gradient of an easy negative is then 1/(γ + 1) of what it is else: a third for γ = 2.
        ignore_index: A value of `targets`, e.g. 255 of void pixels or −1 of missing labels, whose
            elements `where` shall leave out.
        where: Bool mask of the shape of `logits`, repeating dimensions of length 1. An element that
            it leaves out has loss 0 and gradient 0, whatever its logit is.
        weight: A finite factor for each element, shaped like `where`.
        reduction: "none", "sum", "mean" (divides by the number of elements that `where` keeps), or
            "mean_positive" (divides by the sum of the targets that `where` keeps, at least 1).
            Neither α nor a weight enters a divisor. Where nothing is kept the result is 0.
        axis_name: Inside of `jax.shard_map` the axes of the mesh that elements are split over: the
            sum and its divisor are then those of all devices. Outside, `jax.jit` sees to that by
            itself.

    Returns:
        The loss of each element in the shape and dtype of `logits` for "none"; otherwise a scalar,
        in float32 for half precision. A logit NaN gives NaN; a logit ±inf gives 0 or inf, with
        a finite gradient.

    Raises:
        TypeError: An argument is no array, or of the wrong dtype.
        ValueError: Shapes differ (nothing is broadcast between logits and targets), an option is
            unknown, or a value lies outside its range. Values are checked where they are known: for
            arrays on the CPU outside of `jax.jit` and `jax.vmap`. Elsewhere one that is outside
            gives NaN at its element, in loss, gradient and divisor, unless a mask leaves it out.

    Examples:
        >>> import jax.numpy as jnp
        >>> logits, overlaps = jnp.array([2.0, 0.0, -2.0]), jnp.array([0.8, 0.0, 0.0])
        >>> [f"{x:.4g}" for x in varifocal_loss(logits, overlaps)]
        ['0.4215', '0.13', '0.001353']

    References:
        Zhang, Wang, Dayoub, Sünderhauf: VarifocalNet, 2020, arXiv:2008.13367, equation (2). MAL:
        Huang et al., DEIM, 2024, arXiv:2412.04234. IA-BCE: Cai et al., Align-DETR, 2023,
        arXiv:2304.07527.
    """
    shared = (ignore_index, where, weight, reduction, axis_name)
    elements = elements_of("varifocal_loss", logits, targets, *shared)
    # The weight of the negatives alone, which may be above 1.
    if alpha is not None:
        alpha = elements.exponent("alpha", alpha)
    gamma = elements.exponent("gamma", gamma)
    by_y = elements.arguments.flag("iou_weighted", iou_weighted)
    constant = elements.arguments.flag("constant_modulator", constant_modulator)
    inputs = constants(elements.logits, elements.y, alpha, gamma, by_y, constant)
    return varifocal_of(*inputs, *elements.reduced_by(reduction))


def heatmap_focal_loss(
    logits: Array,
    targets: Array,
    *,
    alpha: OneOrSeveral | None = None,
    gamma: OneOrSeveral = 2.0,
    beta: OneOrSeveral = 4.0,
    peak: float = 1.0,
    ignore_index: int | None = None,
    where: Array | None = None,
    weight: Array | None = None,
    reduction: str = "none",
    axis_name: str | tuple[str, ...] | None = None,
) -> Array:
    """Focal loss of heatmaps, which detectors of centers, corners and keypoints are trained with.

    With p = σ(logits), and a target y that is 1 at the center of an object and falls off around it:

        y ≥ peak:    −α·(1 − p)^γ·log p
        y < peak:    −(1 − α)·(1 − y)^β·p^γ·log(1 − p)

    It is computed as a function of the margin ±logits, so that a missed peak keeps its gradient: a
    clamped sigmoid loses it at a logit of −9.2.

    Args:
        logits: Unnormalised scores of any shape and any floating dtype. Arithmetic is in float32 at
            least.
        targets: The heatmap in [0, 1], in the shape of `logits`.
        alpha: The weight α of peaks in [0, 1]; all else gets 1 − α. A number, or an array that
            broadcasts to the shape of `logits`. None weights nothing, as in the papers.
        gamma: The focusing exponent γ ≥ 0: a number, or an array that broadcasts to the shape of
            `logits`. The papers call it α.
        beta: The exponent β ≥ 0 of the fall-off, likewise: the larger, the less elements near a
            peak count. Some libraries call it gamma.
        peak: The number in (0, 1] that a target reaches at a peak. Below 1 it is for peaks between
            pixels. Both are compared in the dtype of the arithmetic, so that a heatmap in half
            precision needs a number that is somewhat smaller.
        ignore_index: A value of `targets`, e.g. 255 of void pixels or −1 of missing labels, whose
            elements `where` shall leave out.
        where: Bool mask of the shape of `logits`, repeating dimensions of length 1. An element that
            it leaves out has loss 0 and gradient 0, whatever its logit is.
        weight: A finite factor for each element, shaped like `where`.
        reduction: "none", "sum", "mean" (divides by the number of elements that `where` keeps), or
            "mean_positive" (divides by the number of peaks that `where` keeps, at least 1). Neither
            α nor `weight` enters a divisor. Where nothing is kept the result is 0.
        axis_name: Inside of `jax.shard_map` the axes of the mesh that elements are split over: the
            sum and its divisor are then those of all devices. Outside, `jax.jit` sees to that by
            itself.

    Returns:
        The loss of each element in the shape and dtype of `logits` for "none"; otherwise a scalar,
        in float32 for half precision. A logit NaN gives NaN; a logit ±inf gives 0 or inf, with a
        finite gradient.

    Raises:
        TypeError: An argument is no array, or of the wrong dtype.
        ValueError: Shapes differ (nothing is broadcast between logits and targets), an option is
            unknown, or a value lies outside its range. Values are checked where they are known: for
            arrays on the CPU outside of `jax.jit` and `jax.vmap`. Elsewhere one that is outside
            gives NaN at its element, in loss, gradient and divisor, unless a mask leaves it out.

    Examples:
        >>> import jax.numpy as jnp
        >>> logits, heatmap = jnp.array([-20.0, 0.0, -2.0]), jnp.array([1.0, 0.5, 0.0])
        >>> [f"{x:.4g}" for x in heatmap_focal_loss(logits, heatmap)]
        ['20', '0.01083', '0.001804']

    References:
        Law, Deng: CornerNet, 2018, arXiv:1808.01244, equation (1). Zhou, Wang, Krähenbühl: Objects
        as Points, 2019, arXiv:1904.07850, equation (1). Both use "mean_positive", γ = 2 and β = 4.
    """
    shared = (ignore_index, where, weight, reduction, axis_name)
    elements = elements_of("heatmap_focal_loss", logits, targets, *shared)
    alpha = elements.alpha(alpha)
    gamma = elements.exponent("gamma", gamma)
    beta = elements.exponent("beta", beta)
    peak = elements.arguments.number("peak", peak, NOT_ZERO_UNIT, "Most peaks are 1.")
    inputs = constants(elements.logits, elements.y, alpha, gamma, beta, peak)
    return heatmap_focal_of(*inputs, *elements.reduced_by(reduction))

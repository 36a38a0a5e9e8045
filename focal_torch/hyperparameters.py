"""What papers advise around the loss: the initial bias, α from counts, and γ from p_t."""

import math

import torch
from torch import Tensor
from torch.fx import Proxy

from ._base.advice import CORRECT
from ._base.arguments import Arguments
from ._base.arrays import compute_dtype, is_array, is_floating, is_sequence
from ._base.ranges import NONNEGATIVE, OPEN_UNIT, UNIT
from ._base.tracing import record


def prior_bias(pi: float | Tensor) -> float | Tensor:
    """The bias with which a sigmoid starts at the probability π: log(π / (1 − π)).

    A detector begins with every anchor being background; with π = 0.01 their sum does not swamp the
    first steps.

    Args:
        pi: The probability π in (0, 1): a number, or an array, e.g. with the frequency of each
            class.

    Returns:
        The bias: a float, or an array of the shape and dtype of `pi`. Around π = ½ and in both
        tails it keeps its relative accuracy.

    Raises:
        TypeError: π is neither a number nor an array of floating-point numbers.
        ValueError: π is not in (0, 1), where its values are known.

    Examples:
        >>> round(prior_bias(0.01), 6)
        -4.59512

    References:
        Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, 2017,
        arXiv:1708.02002, sections 3.3 and 4.1.
    """
    if isinstance(pi, Proxy):
        return record(pi, prior_bias, locals())
    arguments = Arguments("prior_bias")
    advice = "0 and 1 have no finite bias."
    if not (is_array(pi) or is_sequence(pi)):
        return _log_odds(arguments.number("pi", pi, OPEN_UNIT, advice))
    pi = arguments.floating("pi", pi)
    x = arguments.in_range("pi", pi.to(compute_dtype(pi)), OPEN_UNIT, advice)
    # The odds against the rarer side: near ½ its logarithms nearly cancel.
    rare = torch.where(x < 0.5, x, 1 - x)
    # Every branch is differentiated, and 1 / rare² overflows in the tail.
    clamped = torch.where(rare < 0.25, 0.25, rare)
    near_half = torch.log1p((1 - 2 * clamped) / clamped)
    in_tail = torch.log1p(-rare) - torch.log(rare)
    odds = torch.where(rare < 0.25, in_tail, near_half)
    return torch.where(x < 0.5, -odds, odds).to(pi.dtype)


def _log_odds(x: float) -> float:
    rare = min(x, 1 - x)
    if rare < 0.25:
        odds = math.log1p(-rare) - math.log(rare)
    else:
        odds = math.log1p((1 - 2 * rare) / rare)
    return -odds if x < 0.5 else odds


def alpha_from_counts(counts: Tensor, *, beta: float = 1.0) -> Tensor:
    """One weight per class from the number of its samples, the rarer the larger; the mean of the
    classes that have samples is 1.

        α_c = C · (1 / E_c) / Σ_k (1 / E_k)

    with the effective number E_c = (1 − β^n_c) / (1 − β) of its samples, over the C classes that
    have any.

    β = 1 is its limit E_c = n_c, which is the inverse frequency; β = 0 weights nothing.

    Args:
        counts: The numbers n_c ≥ 0 of samples, shape (C,). A class without samples has weight 0,
            and the others weigh as they do without it; where none has any, all are NaN.
        beta: β in [0, 1]. (N − 1) / N says that a class has N prototypes, which samples repeat.

    Returns:
        What `alpha=` of `softmax_focal_loss` takes, shape (C,), in the dtype of `counts`: float32
        for half precision, and the default one for integers. For two classes α_1 / (α_0 + α_1) is
        what `sigmoid_focal_loss` takes.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: `counts` has another shape, a count is negative or not finite (where values are
            known), or β is not in [0, 1].

    Examples:
        >>> import torch
        >>> [f"{x:.4g}" for x in alpha_from_counts(torch.tensor([900, 90, 10]))]
        ['0.0297', '0.297', '2.673']

    References:
        Cui, Jia, Lin, Song, Belongie: Class-Balanced Loss Based on Effective Number of Samples,
        2019, arXiv:1901.05555, equation (2) and section 4.
    """
    if isinstance(counts, Proxy):
        return record(counts, alpha_from_counts, locals())
    arguments = Arguments("alpha_from_counts")
    counts = arguments.array("counts", counts)
    if counts.ndim != 1 or not counts.numel():
        expected = "shape (C,) with a number per class"
        arguments.fail(ValueError, "counts", expected, tuple(counts.shape), "Flatten it.")
    beta = arguments.number("beta", beta, UNIT, "1 is the inverse frequency.")
    dtype = compute_dtype(counts) if is_floating(counts) else torch.get_default_dtype()
    counts = arguments.in_range("counts", counts.to(dtype), NONNEGATIVE, CORRECT)
    effective = counts
    if 0 < beta < 1:
        # The factor 1 / (1 − β) of all classes cancels.
        effective = -torch.expm1(effective * math.log(beta))
    # β = 0 counts every class once.
    weights = 1 / effective if beta else torch.ones_like(effective)
    # A class without samples is in no batch, and would take all weight from the others.
    weights = torch.where(counts == 0, 0, weights)
    present = (counts != 0).sum()
    return weights * (present / weights.sum())


def gamma_flsd(
    p_t: Tensor, *, threshold: float = 0.2, below: float = 5.0, above: float = 3.0
) -> Tensor:
    """γ for each sample, larger where the model is far from the truth: sample-dependent focal loss,
    FLSD-53.

    Args:
        p_t: The probability of the true class in [0, 1], of any shape.
        threshold: Below it p_t is small.
        below: γ where p_t < `threshold`.
        above: γ elsewhere.

    Returns:
        What `gamma=` takes, in the shape and dtype of `p_t`. It has no derivative in p_t. For a
        softmax keep the class axis with length 1.

    Raises:
        TypeError: `p_t` is no array of floating-point numbers, or another argument no number.
        ValueError: A value lies outside its range, where it is known.

    Examples:
        >>> import torch
        >>> gamma_flsd(torch.tensor([0.1, 0.2, 0.9])).tolist()
        [5.0, 3.0, 3.0]

    References:
        Mukhoti, Kulharia, Sanyal, Golodetz, Torr, Dokania: Calibrating Deep Neural Networks using
        Focal Loss, 2020, arXiv:2002.09437, section 4: FLSD-53, a rule without an equation number
        that follows its Proposition 1.
    """
    if isinstance(p_t, Proxy):
        return record(p_t, gamma_flsd, locals())
    arguments = Arguments("gamma_flsd")
    p_t = arguments.floating("p_t", p_t)
    p_t = arguments.in_range("p_t", p_t, UNIT, "It is a probability.")
    threshold = arguments.number("threshold", threshold, UNIT, "It is a probability.")
    below = arguments.number("below", below, NONNEGATIVE, "It is a γ.")
    above = arguments.number("above", above, NONNEGATIVE, "It is a γ.")
    # Arrays, since a selection between two numbers would have another dtype.
    gamma_below = torch.full_like(p_t, below)
    gamma_above = torch.full_like(p_t, above)
    gamma = torch.where(p_t < threshold, gamma_below, gamma_above)
    return torch.where(torch.isnan(p_t), p_t, gamma)

"""What papers advise around the loss: the first bias, α from counts, γ from p_t, and probabilities from scores."""

import math
from typing import Any

import torch
from torch import Tensor

from .arrays import compute_dtype, near
from .checks import NONNEGATIVE, POSITIVE, UNIT, Allowed, Checks
from .classes import margins
from .collectives import Devices
from .known import is_array, is_floating
from .margin import softplus

OPEN_UNIT = Allowed("in (0, 1)", lambda x: (x > 0) & (x < 1))


def prior_bias(pi: float | Tensor) -> float | Tensor:
    """The bias with which a sigmoid starts at the probability π: log(π / (1 − π)).

    A detector begins with every anchor being background; with π = 0.01 their sum does not swamp the first steps.

    Args:
        pi: The probability π in (0, 1): a number, or an array, e.g. with the frequency of each class.

    Returns:
        The bias: a float, or an array of the shape and dtype of `pi`. Around π = ½ and in both tails it keeps its
        relative accuracy.

    Raises:
        TypeError: π is neither a number nor an array of floating-point numbers.
        ValueError: π is not in (0, 1), where its values are known.

    Example:
        >>> round(prior_bias(0.01), 6)
        -4.59512

    References:
        Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, 2017, arXiv:1708.02002, sections 3.3
        and 4.1.
    """
    check = Checks("prior_bias")
    advice = "0 and 1 have no finite bias."
    if not is_array(pi):
        return _log_odds(check.number("pi", pi, OPEN_UNIT, advice))
    pi = check.logits(pi, "pi")
    check.values("pi", pi, OPEN_UNIT, advice)
    x = pi.to(compute_dtype(pi))
    # The odds against the rarer side: near ½ its logarithms nearly cancel.
    rare = torch.minimum(x, 1 - x)
    near_half, in_tail = torch.log1p((1 - 2 * rare) / rare), torch.log1p(-rare) - torch.log(rare)
    odds = torch.where(rare < 0.25, in_tail, near_half)
    return torch.where(x < 0.5, -odds, odds).to(pi.dtype)


def _log_odds(x: float) -> float:
    rare = min(x, 1 - x)
    odds = math.log1p(-rare) - math.log(rare) if rare < 0.25 else math.log1p((1 - 2 * rare) / rare)
    return -odds if x < 0.5 else odds


def alpha_from_counts(counts: Tensor, *, beta: float = 1.0) -> Tensor:
    """One weight per class from the number of its samples, the rarer the larger; their mean is 1.

        α_c = C · (1 / E_c) / Σ_k (1 / E_k)    with the effective number    E_c = (1 − β^n_c) / (1 − β)

    β = 1 is its limit E_c = n_c, which is the inverse frequency; β = 0 weights nothing.

    Args:
        counts: The numbers n_c > 0 of samples, shape (C,).
        beta: β in [0, 1]. (N − 1) / N says that a class has N prototypes, which samples repeat.

    Returns:
        What `alpha=` of `softmax_focal_loss` takes, shape (C,), in the dtype of `counts`, or the default one if they
        are integers. For two classes α_1 / (α_0 + α_1) is what `sigmoid_focal_loss` takes.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: `counts` has another shape, a count is not positive (where values are known), or β is not in [0, 1].

    Example:
        >>> import torch
        >>> [f"{x:.4g}" for x in alpha_from_counts(torch.tensor([900, 90, 10]))]
        ['0.0297', '0.297', '2.673']

    References:
        Cui, Jia, Lin, Song, Belongie: Class-Balanced Loss Based on Effective Number of Samples, 2019,
        arXiv:1901.05555, equation (2) and section 4.
    """
    check = Checks("alpha_from_counts")
    counts = check.array("counts", counts)
    if counts.ndim != 1 or not counts.numel():
        check.fail(ValueError, "counts", "shape (C,) with a number per class", tuple(counts.shape), "Flatten it.")
    check.values("counts", counts, POSITIVE, "A class without samples has no weight: leave it out.")
    beta = check.number("beta", beta, UNIT, "1 is the inverse frequency.")
    n = counts.to(compute_dtype(counts) if is_floating(counts) else torch.get_default_dtype())
    if 0 < beta < 1:
        # 1 − β cancels against that of all other classes.
        n = -torch.expm1(n * math.log1p(beta - 1))
    share = 1 / n if beta else torch.ones_like(n)
    return share * (n.numel() / share.sum())


def gamma_flsd(p_t: Tensor, *, threshold: float = 0.2, below: float = 5.0, above: float = 3.0) -> Tensor:
    """γ for each sample, larger where the model is far from the truth: sample-dependent focal loss, FLSD-53.

    Args:
        p_t: The probability of the true class in [0, 1], of any shape.
        threshold: Below it p_t is small.
        below: γ where p_t < `threshold`.
        above: γ elsewhere.

    Returns:
        What `gamma=` takes, in the shape and dtype of `p_t`. It has no derivative in p_t. For a softmax keep the
        class axis with length 1.

    Raises:
        TypeError: `p_t` is no array of floating-point numbers, or another argument no number.
        ValueError: A value lies outside its range, where it is known.

    Example:
        >>> import torch
        >>> gamma_flsd(torch.tensor([0.1, 0.2, 0.9])).tolist()
        [5.0, 3.0, 3.0]

    References:
        Mukhoti, Kulharia, Sanyal, Golodetz, Torr, Dokania: Calibrating Deep Neural Networks using Focal Loss, 2020,
        arXiv:2002.09437, section 4: FLSD-53, a rule without an equation number that follows its Proposition 1.
    """
    check = Checks("gamma_flsd")
    p_t = check.logits(p_t, "p_t")
    check.values("p_t", p_t, UNIT, "It is a probability.")
    threshold = check.number("threshold", threshold, UNIT, "It is a probability.")
    below, above = (
        check.number(name, x, NONNEGATIVE, "It is a γ.") for name, x in (("below", below), ("above", above))
    )
    return torch.where(p_t < threshold, torch.full_like(p_t, below), torch.full_like(p_t, above))


def posterior_from_focal(logits: Tensor, gamma: float | Tensor = 2.0, *, axis: int | None = None) -> Tensor:
    """Class probabilities from the logits of a model that was trained with focal loss.

    The loss is least where its scores q are not the probabilities η, but where η_c·φ(q_c) / q_c is the same for all
    classes. Of two classes they are flatter than η, of many they may be either. So

        η_c = h(q_c) / Σ_k h(q_k)    with    h(q) = q / φ(q)    and    φ(q) = (1 − q)^γ − γ·(1 − q)^(γ−1)·q·log q

    The order of the classes stays. γ = 0 is the softmax or the sigmoid itself.

    Args:
        logits: What the model returns, of any shape and any floating dtype.
        gamma: The γ ≥ 0 that it was trained with: a number, or an array that broadcasts to the shape of `logits`.
        axis: The axis of the classes of a softmax. None: each logit is that of a sigmoid.

    Returns:
        Probabilities in the shape and dtype of `logits`. α is not undone.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: `axis` is no axis of `logits`, or γ is negative, where it is known.

    Example:
        >>> import torch
        >>> [f"{x:.4f}" for x in posterior_from_focal(torch.tensor([0.0, 1.0, 2.0]), 2.0)]
        ['0.5000', '0.9359', '0.9955']

    References:
        Charoenphakdee, Vongkulbhisal, Chairatanakul, Sugiyama: On Focal Loss for Class-Posterior Probability
        Estimation: A Theoretical Perspective, 2021, arXiv:2011.09172, Theorem 11.
    """
    check = Checks("posterior_from_focal")
    logits = check.logits(logits)
    shape, dtype = tuple(logits.shape), compute_dtype(logits)
    gamma = check.parameter("gamma", gamma, shape, NONNEGATIVE, dtype)
    z = logits.to(dtype)
    if axis is None:
        z = near(z)
        odds = (1 + gamma) * z - torch.log1p(gamma * _ratio(z)) + torch.log1p(gamma * _ratio(-z))
        return torch.sigmoid(odds).to(logits.dtype)
    axis = check.axis(axis, logits)
    u = near(torch.movedim(margins(torch.movedim(z, axis, -1), Devices()), -1, axis))
    log_h = gamma * softplus(u) - softplus(-u) - torch.log1p(gamma * _ratio(u))
    shifted = torch.exp(log_h - log_h.amax(axis, keepdim=True))
    return (shifted / shifted.sum(axis, keepdim=True)).to(logits.dtype)


def _ratio(u: Tensor) -> Any:
    """−log(q)·q / (1 − q) = exp(u)·softplus(−u), which is between 0 and 1, in terms that do not overflow."""
    small = torch.exp(-torch.abs(u))
    log = torch.log1p(small)
    above = torch.where(small > 0, log / torch.where(small > 0, small, 1), 1)
    return torch.where(u > 0, above, small * (log - u.clamp(max=0)))

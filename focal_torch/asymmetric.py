"""The asymmetric loss of multi-label classification."""

from torch import Tensor
from torch.distributed import ProcessGroup
from torch.fx import Proxy

from ._base.arrays import OneOrSeveral
from ._base.elements import elements_of
from ._base.ranges import SHIFTS
from ._base.tracing import record
from ._core.asymmetric import asymmetric_focal


def asymmetric_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    alpha: OneOrSeveral | None = None,
    gamma_positive: OneOrSeveral = 1.0,
    gamma_negative: OneOrSeveral = 4.0,
    shift: float = 0.05,
    constant_modulator: bool = False,
    ignore_index: int | None = None,
    where: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "none",
    group: ProcessGroup | None = None,
) -> Tensor:
    """Asymmetric loss for multi-label classification, where nearly all labels are negative.

    With p = σ(logits) and x = max(p − shift, 0):

        y = 1:    −α·(1 − p)^γ₊·log p
        y = 0:    −(1 − α)·x^γ₋·log(1 − x)

    A target between 0 and 1 has y times the first and 1 − y times the second. A negative whose
    probability is below the shift has loss 0 and gradient 0. One with a very large logit has a loss
    of (1 − shift)^γ₋·(−log shift) and loses its gradient: so the paper treats labels that are
    probably missing.

    Args:
        logits: Unnormalised scores of any shape and any floating dtype. Arithmetic is in float32 at
            least.
        targets: The truth, in the shape of `logits`: bool, integer 0 or 1, or floating in [0, 1].
        alpha: The weight α of class 1 in [0, 1]; class 0 gets 1 − α. A number, or a tensor that
            broadcasts to the shape of `logits`, e.g. one α per class on its last axis; a list, too.
            None weights nothing.
        gamma_positive: The exponent γ₊ ≥ 0 of class 1: a number, or a tensor that broadcasts to the
            shape of `logits`.
        gamma_negative: The exponent γ₋ ≥ 0 of class 0, likewise.
        shift: What the probability of a negative is reduced by: 0, or a number in [1e-30, 1).
        constant_modulator: Whether (1 − p)^γ₊ and x^γ₋ are constant in the logits. The loss is the
            same, and the gradient of an easy element a fraction of what it is else.
        ignore_index: A value of `targets`, e.g. 255 of void pixels or −1 of missing labels, whose
            elements `where` shall leave out.
        where: Bool mask of the shape of `logits`, repeating dimensions of length 1. An element that
            it leaves out has loss 0 and gradient 0, whatever its logit is.
        weight: A finite factor for each element, shaped like `where`.
        reduction: "none", "sum", "mean" (divides by the number of elements that `where` keeps), or
            "mean_positive" (divides by the sum of the targets that `where` keeps, at least 1).
            Neither α nor `weight` enters a divisor. Where nothing is kept the result is 0.
        group: The ranks that elements are split over: the sum and its divisor are then those of all
            ranks, and the average of their gradients, as DistributedDataParallel makes it, is the
            gradient of that loss.

    Returns:
        The loss of each element in the shape and dtype of `logits` for "none"; otherwise a scalar,
        in float32 for half precision. A logit NaN gives NaN; a logit ±inf gives the limits.

    Raises:
        TypeError: An argument is no tensor, or of the wrong dtype.
        ValueError: Shapes differ (nothing is broadcast between logits and targets), an option is
            unknown, or a value lies outside its range. Values are checked where they are known: for
            tensors on the CPU outside of `torch.compile` and `torch.vmap`. Elsewhere one that is
            outside gives NaN at its element, in loss, gradient and divisor, unless a mask leaves it
            out.

    Examples:
        >>> import torch
        >>> logits, targets = torch.tensor([-20.0, 0.0, -3.0]), torch.tensor([1, 0, 0])
        >>> [f"{x:.4g}" for x in asymmetric_loss(logits, targets)]
        ['20', '0.02452', '0']

    References:
        Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor: Asymmetric Loss For
        Multi-Label Classification, 2020, arXiv:2009.14119, section 2. The paper has γ₊ = 0, its
        code γ₊ = 1.
    """
    if isinstance(logits, Proxy):
        return record(logits, asymmetric_loss, locals())
    shared = (ignore_index, where, weight, reduction, group)
    elements = elements_of("asymmetric_loss", logits, targets, *shared)
    alpha = elements.alpha(alpha)
    gamma_1 = elements.exponent("gamma_positive", gamma_positive)
    gamma_0 = elements.exponent("gamma_negative", gamma_negative)
    # A number, since without a shift there is another formula.
    shift = elements.arguments.number("shift", shift, SHIFTS, "0 shifts nothing.")
    held = elements.held(elements.arguments.flag("constant_modulator", constant_modulator))
    z, y, weight, where = elements.logits, elements.y, elements.weight, elements.where
    inputs = (z, held, y, alpha, gamma_1, gamma_0, shift)
    loss = asymmetric_focal(*inputs, weight=weight, where=where)
    return elements.reduced(loss, positives=y)

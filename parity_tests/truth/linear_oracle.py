"""The truth about the loss of a linear layer: the oracle's softmax focal loss, as a function of
what its logits are made of.

Arrays are flat, row by row: features (rows, D), kernel (D, C), bias (C,). The scale of a logit is
Σ|x·w| + |b|, which its rounding goes by, and the loss has its scale from those of its logits.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import mpmath
from mpmath import mpf

from .jets import Jet, Real, Term, chain, column, compose, total
from .oracle import softmax_focal_loss


class Layer(NamedTuple):
    """What the rows of a batch share."""

    kernel: Sequence[float]
    bias: Sequence[float]
    softcap: float | None = None
    z_loss: float = 0.0


def row_jet(
    row: int,
    features: Sequence[float],
    layer: Layer,
    targets: Sequence[Real],
    alpha: Sequence[float] | None,
    gamma: float,
) -> Jet:
    """The loss of one row for class probabilities, in its features and in kernel and bias.

    Its features are the variables features{row·D}, …, features{row·D + D − 1}.
    """
    logits: dict[str, Jet] = {}
    for c in range(len(targets)):
        logit = _logit(row, features, layer, c)
        if layer.softcap is not None:
            logit = _capped(logit, mpf(layer.softcap))
        logits[column("logits", c)] = logit
    numbers = [jet[()].value for jet in logits.values()]
    sizes = [jet[()].scale for jet in logits.values()]
    loss = softmax_focal_loss(
        numbers, targets, alpha, gamma, variables=frozenset(logits), sizes=sizes
    )
    loss = compose(loss, logits)
    if not layer.z_loss:
        return loss
    log_sum = log_sum_exp(logits)
    return loss + Jet.constant(mpf(layer.z_loss)) * log_sum * log_sum


def log_sum_exp(logits: Mapping[str, Jet]) -> Jet:
    """log Σ exp(z). A rounded logit moves it by as much, and each share by that part of itself."""
    terms = {name: jet[()] for name, jet in logits.items()}
    size = max(term.scale for term in terms.values())
    whole = sum(mpmath.exp(term.value) for term in terms.values())
    shares = {name: mpmath.exp(term.value) / whole for name, term in terms.items()}
    value = mpmath.log(whole)
    outer = Jet({(): Term(value, abs(value) + size)})
    for a, p in shares.items():
        outer[(a,)] = Term(p, p * (1 + size))
        for b, q in shares.items():
            if a <= b:
                same = int(a == b)
                outer[(a, b)] = Term(p * (same - q), p * (same + q) * (1 + size))
    return compose(outer, logits)


def _logit(row: int, features: Sequence[float], layer: Layer, c: int) -> Jet:
    classes = len(layer.bias)
    terms = [Jet.variable(column("bias", c), mpf(layer.bias[c]))]
    for d, x in enumerate(features):
        place = d * classes + c
        factor = Jet.variable(column("features", row * len(features) + d), mpf(x))
        terms.append(factor * Jet.variable(column("kernel", place), mpf(layer.kernel[place])))
    return total(terms)


def _capped(logit: Jet, cap: Real) -> Jet:
    """cap·tanh(logit / cap). A rounded logit moves each derivative by the next one."""
    value, size = logit[()]
    t = mpmath.tanh(value / cap)
    slope = 1 - t**2
    bend = -2 * t * slope / cap
    third = 2 * slope * (1 + 3 * t**2) / cap**2
    return chain(
        logit,
        Term(slope, slope + abs(bend) * size),
        Term(bend, abs(bend) + third * size),
        Term(cap * t, abs(cap * t) + slope * size),
    )


def smoothed(target: int, classes: int, smoothing: float) -> list[Real]:
    """(1 − ε)·onehot(t) + ε/C."""
    shares = [mpf(smoothing) / classes] * classes
    shares[target] += 1 - mpf(smoothing)
    return shares


def linear_softmax_focal_loss(
    features: Sequence[float],
    kernel: Sequence[float],
    targets: Sequence[int],
    bias: Sequence[float],
    gamma: float = 2.0,
    alpha: Sequence[float] | None = None,
    softcap: float | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    ignore_index: int | None = None,
    where: Sequence[bool] | None = None,
    weight: Sequence[float] | None = None,
    reduction: str = "mean",
) -> Jet:
    """The sum or mean of a batch with its first derivatives in features, kernel and bias."""
    classes = len(bias)
    depth = len(kernel) // classes
    layer = Layer(kernel, bias, softcap, z_loss)
    losses = [Jet()]
    for row, target in enumerate(targets):
        if target == ignore_index or (where is not None and not where[row]):
            continue
        shares = smoothed(target, classes, label_smoothing)
        own = features[row * depth : (row + 1) * depth]
        factor = Jet.constant(mpf(1 if weight is None else weight[row]))
        losses.append(factor * row_jet(row, own, layer, shares, alpha, gamma))
    kept = len(losses) - 1
    divisor = 1 if reduction == "sum" else max(kept, 1)
    mean = Jet.constant(1 / mpf(divisor)) * total(losses)
    return Jet({key: term for key, term in mean.items() if len(key) < 2})

"""The losses that a sweep knows: how each is called, and what the truth is for its two targets.

γ is that of the negatives, and of the positives where a loss modulates them. All are judged in
units of the truth, but for sums of terms that cancel: those are judged at the size of the terms.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.tolerances import (
    EPS,
    GRADIENT,
    PER_GAMMA,
    SIGMOID,
    SMALLEST_NORMAL,
    SOFTMAX,
    VALUE,
)
from parity_tests.truth import float64
from parity_tests.truth.float64 import Margins

ALPHA = 0.25
# Both are exact in float32: their rounding would not be the port's.
SHIFT = 0.0625
OVERLAP = 0.75
FLUSHED = SMALLEST_NORMAL["float32"] / EPS["float32"]

Array = np.ndarray


class Truth(NamedTuple):
    """A loss and its gradient in the logits, each with the size that errors are counted in."""

    value: Array
    slope: Array
    value_scale: Array
    slope_scale: Array


@dataclass(frozen=True)
class Member:
    """A loss of logits and two targets."""

    # Of the margins ±a of the target's class, their logits, γ, and 0 or 1.
    truth: Callable[[Margins, Array, float, int], Truth]
    # α, and γ by all of the names that it has.
    alpha: float = ALPHA
    gammas: tuple[str, ...] = ("gamma",)
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    targets: tuple[float, float] = (0, 1)
    # Whether class 0 is judged as a softmax is: at the size of what roundings of logits, p and the
    # shift cost.
    blurred: bool = False
    # Whether the loss of each target falls with the margin, so that a rise says something.
    falls: tuple[bool, bool] = (True, True)

    def keywords(self, gamma: float) -> dict[str, Any]:
        return {"alpha": self.alpha, **dict.fromkeys(self.gammas, gamma), **self.settings}

    def allowed(self, gamma: float, target: int) -> tuple[float, float]:
        """Of value and gradient, in eps."""
        if self.blurred and not target:
            return SOFTMAX, SOFTMAX
        more = PER_GAMMA * gamma
        return SIGMOID[VALUE] + more, SIGMOID[GRADIENT] + more


def _plain(value: Array, slope: Array) -> Truth:
    return Truth(value, slope, np.abs(value), np.abs(slope))


def _focal(margins: Margins, logits: Array, gamma: float, target: int) -> Truth:
    """α_t·f(±z; γ)."""
    value, descent = float64.focal(margins, gamma)
    if target:
        return _plain(ALPHA * value, -ALPHA * descent)
    return _plain((1 - ALPHA) * value, (1 - ALPHA) * descent)


def _varifocal(margins: Margins, logits: Array, gamma: float, target: int) -> Truth:
    """y·BCE for a positive, whose gradient y·((1 − y)·p − y·q) is a difference."""
    if not target:
        return _focal(margins, logits, gamma, target)
    y = OVERLAP
    # At the margin −u the other class has what this one has at u.
    p, q = margins.q[::-1], margins.q
    value = y * (y * margins.s + (1 - y) * margins.s[::-1])
    above, below = y * (1 - y) * p, y * y * q
    return Truth(value, above - below, value, above + below)


def _asymmetric(margins: Margins, logits: Array, gamma: float, target: int) -> Truth:
    """α·f(z; γ), and (1 − α)·x^γ·(−log(1 − x)) with x = max(p − m, 0)."""
    if target:
        return _focal(margins, logits, gamma, target)
    p, q = margins.q, margins.q[::-1]
    x = np.maximum(p - SHIFT, 0)
    w = q + SHIFT
    s = np.log1p(x / w)
    inside = x > 0
    safe = np.where(inside, x, 1)
    factor = (1 - ALPHA) * np.where(inside, x**gamma, 0)
    # Derivatives in x of x^γ·s, without the factor.
    first = gamma * s / safe + 1 / w
    second = abs(gamma * (gamma - 1)) * s / safe**2 + 2 * gamma / (safe * w) + 1 / w**2
    value, slope = factor * s, factor * p * q * first
    # x moves with the rounding of the logit, of p, and of the shift.
    size = np.minimum(np.abs(logits), 1e30)
    moved = p * q * size + p + SHIFT
    value_scale = value + factor * first * moved
    # Below the smallest normal number q may be flushed to 0, before what is large multiplies it.
    bent = p * (q + FLUSHED) * (second * moved + first * (1 + size))
    slope_scale = slope + factor * bent
    return Truth(value, slope, value_scale, slope_scale)


MEMBERS: dict[str, Member] = {
    "sigmoid": Member(_focal),
    "quality": Member(_focal, settings={"soft_targets": "quality"}),
    "varifocal": Member(_varifocal, 1 - ALPHA, targets=(0, OVERLAP), falls=(True, False)),
    "heatmap": Member(_focal),
    "asymmetric": Member(
        _asymmetric,
        gammas=("gamma_positive", "gamma_negative"),
        settings={"shift": SHIFT},
        blurred=True,
    ),
}

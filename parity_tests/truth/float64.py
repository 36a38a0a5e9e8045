"""The hard sigmoid loss and its gradient in plain float64 numpy: fast enough for exhaustive sweeps.

test_oracle.py holds it against the oracle to a few units of float64, which is nothing beside half
precision. The sweep of float32 takes the same numbers from `both_margins` and `focal`, which share
what logits ±a and all γ have in common; test_sweep.py holds those against the oracle.
"""

from functools import reduce
from operator import mul
from typing import NamedTuple

import numpy as np

Array = np.ndarray


def hard_focal(logits: Array, targets: Array, alpha: float, gamma: float) -> tuple[Array, Array]:
    """The loss and its derivative in the logits, for float64 logits and targets 0 or 1, infinite
    logits included."""
    sign = np.where(targets == 1, 1.0, -1.0)
    u, alpha_t = sign * logits, np.where(targets == 1, alpha, 1 - alpha)
    tail = np.exp(-np.abs(u))
    p, q = (np.where(side >= 0, 1.0, tail) / (1 + tail) for side in (u, -u))
    s = np.maximum(-u, 0) + np.log1p(tail)
    # p·s has the limit 0 where p is 0 and s infinite.
    slope = -(q**gamma) * (gamma * p * np.where(p == 0, 0, s) + q)
    return alpha_t * q**gamma * s, sign * alpha_t * slope


class Margins(NamedTuple):
    """What γ does not enter, at the margins u = a (first row) and u = −a (second row)."""

    q: Array
    s: Array
    # p·s, which has the limit 0 at u = −∞.
    ps: Array


def both_margins(a: Array) -> Margins:
    """σ(−u), softplus(−u) and σ(u)·softplus(−u) at u = ±a, for float64 a ≥ 0."""
    tail = np.exp(-a)
    more = 1 / (1 + tail)
    less, log = tail * more, np.log1p(tail)
    s = np.stack([log, a + log])
    return Margins(
        np.stack([less, more]), s, np.stack([more, less]) * np.minimum(s, np.finfo(float).max)
    )


def focal(margins: Margins, gamma: float) -> tuple[Array, Array]:
    """f(u; γ) and −∂f/∂u, neither of which is ever negative."""
    power = _power(margins.q, gamma)
    return power * margins.s, power * (gamma * margins.ps + margins.q)


def _power(q: Array, gamma: float) -> Array:
    """q^γ by products and a root where they suffice, which is several times faster than a power."""
    whole, part = divmod(gamma, 1)
    if whole > 5 or part not in (0, 0.5):
        return q**gamma
    return reduce(mul, [q] * int(whole) + [np.sqrt(q)] * (part > 0), np.ones_like(q))

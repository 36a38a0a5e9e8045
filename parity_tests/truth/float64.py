"""The hard sigmoid loss and its gradient in plain float64 numpy: fast enough for exhaustive sweeps.

test_oracle.py holds it against the oracle to a few units of float64, which is nothing beside half
precision. The sweep of float32 takes the same numbers from `both_margins` and `focal`, which share
what logits ±a and all γ have in common; test_sweep.py holds those against the oracle.
"""

from typing import NamedTuple

import numpy as np

Array = np.ndarray


def hard_focal(logits: Array, targets: Array, alpha: float, gamma: float) -> tuple[Array, Array]:
    """The loss and its derivative in the logits, for float64 logits and targets 0 or 1, infinite
    logits included."""
    is_positive = targets == 1
    sign = np.where(is_positive, 1.0, -1.0)
    alpha_t = np.where(is_positive, alpha, 1 - alpha)
    u = sign * logits
    # exp(−|u|) cannot overflow, and p and q are both formed from it without a subtraction.
    tail = np.exp(-np.abs(u))
    p = np.where(u >= 0, 1.0, tail) / (1 + tail)
    q = np.where(u <= 0, 1.0, tail) / (1 + tail)
    s = np.maximum(-u, 0) + np.log1p(tail)
    # p·s has the limit 0 where p is 0 and s infinite.
    finite_s = np.where(p == 0, 0, s)
    slope = -(q**gamma) * (gamma * p * finite_s + q)
    loss = alpha_t * q**gamma * s
    return loss, sign * alpha_t * slope


class Margins(NamedTuple):
    """What γ does not enter, at the margins u = a (first row) and u = −a (second row)."""

    q: Array
    s: Array
    # p·s, which has the limit 0 at u = −∞.
    ps: Array


def both_margins(a: Array) -> Margins:
    """σ(−u), softplus(−u) and σ(u)·softplus(−u) at u = ±a, for float64 a ≥ 0."""
    tail = np.exp(-a)
    log = np.log1p(tail)
    # σ(a) and σ(−a); at u = −a they change places.
    larger = 1 / (1 + tail)
    smaller = tail * larger
    p = np.stack([larger, smaller])
    q = np.stack([smaller, larger])
    s = np.stack([log, a + log])
    # p is 0 where s is infinite, and 0 times the largest number is 0.
    finite_s = np.minimum(s, np.finfo(float).max)
    return Margins(q, s, p * finite_s)


def focal(margins: Margins, gamma: float) -> tuple[Array, Array]:
    """f(u; γ) and −∂f/∂u, neither of which is ever negative."""
    power = _power(margins.q, gamma)
    loss = power * margins.s
    slope = power * (gamma * margins.ps + margins.q)
    return loss, slope


def _power(q: Array, gamma: float) -> Array:
    """q^γ by products and a root where they suffice, which is several times faster than a power."""
    whole, part = divmod(gamma, 1)
    if whole > 5 or part not in (0, 0.5):
        return q**gamma
    power = np.ones_like(q)
    for _ in range(int(whole)):
        power = power * q
    return power * np.sqrt(q) if part else power

"""The hard sigmoid loss and its gradient in plain float64 numpy: fast enough for exhaustive sweeps.

test_oracle.py holds it against the oracle to a few units of float64, which is nothing beside half precision.
"""

import numpy as np

Array = np.ndarray


def hard_focal(logits: Array, targets: Array, alpha: float, gamma: float) -> tuple[Array, Array]:
    """The loss and its derivative in the logits, for float64 logits and targets 0 or 1, infinite logits included."""
    sign = np.where(targets == 1, 1.0, -1.0)
    u, alpha_t = sign * logits, np.where(targets == 1, alpha, 1 - alpha)
    tail = np.exp(-np.abs(u))
    p, q = (np.where(side >= 0, 1.0, tail) / (1 + tail) for side in (u, -u))
    s = np.maximum(-u, 0) + np.log1p(tail)
    # p·s has the limit 0 where p is 0 and s infinite.
    slope = -(q**gamma) * (gamma * p * np.where(p == 0, 0, s) + q)
    return alpha_t * q**gamma * s, sign * alpha_t * slope

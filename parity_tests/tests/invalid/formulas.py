"""The losses of right values in float64, as the papers have them."""

import numpy as np


def focal(u: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """f(u; γ) = σ(−u)^γ·softplus(−u)."""
    return np.exp(-gamma * np.logaddexp(0, u)) * np.logaddexp(0, -u)


def margins(z: np.ndarray) -> np.ndarray:
    """u (…, C) of each class."""
    others = np.repeat(z[..., None, :], z.shape[-1], -2)
    others[..., np.eye(z.shape[-1], dtype=bool)] = -np.inf
    return z - np.logaddexp.reduce(others, -1)


def sigmoid_loss(
    z: np.ndarray,
    y: np.ndarray,
    alpha_1: np.ndarray,
    alpha_0: np.ndarray,
    gamma: np.ndarray,
    rule: str,
) -> np.ndarray:
    """Equation (5) with the weights of both classes, and either rule for soft targets."""
    if rule == "mixture":
        return y * alpha_1 * focal(z, gamma) + (1 - y) * alpha_0 * focal(-z, gamma)
    alpha_t = y * alpha_1 + (1 - y) * alpha_0
    p, q = np.exp(-np.logaddexp(0, -z)), np.exp(-np.logaddexp(0, z))
    cross_entropy = y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)
    return alpha_t * (y * q + (1 - y) * p) ** gamma * cross_entropy

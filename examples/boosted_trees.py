"""The sigmoid focal loss as an objective of LightGBM and XGBoost, in numpy alone: to be copied."""

import numpy as np


def focal_derivatives(scores, labels, alpha=None, gamma=2.0):
    """The loss of each row, its gradient, and its true Hessian, which may be negative."""
    sign = np.where(labels > 0, 1.0, -1.0)
    margin = sign * np.asarray(scores, float)
    log_p, log_q = -np.logaddexp(0, -margin), -np.logaddexp(0, margin)
    p, q = np.exp(log_p), np.exp(log_q)
    factor = np.exp(gamma * log_q)
    if alpha is not None:
        factor *= np.where(labels > 0, alpha, 1 - alpha)
    gradient = sign * factor * (gamma * p * log_p - q)
    hessian = factor * p * (q * (1 + 2 * gamma + gamma * log_p) - gamma**2 * p * log_p)
    return -factor * log_p, gradient, hessian


def focal_objective(alpha=None, gamma=2.0, floor=1e-3):
    def objective(scores, data):
        _, gradient, hessian = focal_derivatives(scores, data.get_label(), alpha, gamma)
        weight = data.get_weight()
        if weight is None or len(weight) == 0:
            weight = 1.0
        return weight * gradient, weight * np.maximum(hessian, floor)

    return objective

"""Ports that the tests of the command judge from a folder of their own: right, wrong, and none at
all."""

import multiprocessing
import os
import signal

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

import focal_torch

NUMBER = 3


def formula(inputs, targets, alpha: float = 0.25, gamma: float = 2, reduction="none"):
    p = torch.sigmoid(inputs)
    bce = binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    loss = alpha_t * bce * (1 - p_t) ** gamma
    return {"none": loss, "mean": loss.mean(), "sum": loss.sum()}[reduction]


def fixed(scores, truth):
    return focal_torch.sigmoid_focal_loss(scores, truth, alpha=0.5, gamma=1.5)


def renamed(scores, truth, focusing, balance):
    return focal_torch.sigmoid_focal_loss(scores, truth, alpha=balance, gamma=focusing)


def extra(logits, targets, gamma, alpha, from_logits):
    assert from_logits is True
    return focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def mean(logits, targets, gamma, alpha):
    return focal_torch.sigmoid_focal_loss(
        logits, targets, alpha=alpha, gamma=gamma, reduction="mean"
    )


def detached(logits, targets, gamma, alpha):
    return focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma).detach()


def dies(logits, targets, gamma, alpha):
    """In a process that another one has started."""
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return mean(logits, targets, gamma, alpha)


def probabilities(p, targets, gamma):
    log_p = torch.where(p > 0.5, torch.log1p(p - 1), torch.log(p))
    positive = -log_p * (1 - p) ** gamma
    negative = -torch.log1p(-p) * p**gamma
    return torch.where(targets == 1, positive, negative)


def numpy_loss(logits, targets, gamma):
    u = np.where(targets == 1, logits, -logits)
    tail = np.exp(-np.abs(u))
    q = np.where(u >= 0, tail, 1) / (1 + tail)
    softplus = np.maximum(-u, 0) + np.log1p(tail)
    return (q**gamma * softplus).astype(logits.dtype)


def numpy_slope(logits, targets, gamma):
    u = np.where(targets == 1, logits, -logits)
    tail = np.exp(-np.abs(u))
    p = np.where(u >= 0, 1, tail) / (1 + tail)
    q = np.where(u >= 0, tail, 1) / (1 + tail)
    softplus = np.maximum(-u, 0) + np.log1p(tail)
    # 0·∞ is 0.
    focus = gamma * p * np.where(p == 0, 0, softplus)
    slope = -(q**gamma) * (focus + q)
    sign = np.where(targets == 1, 1, -1)
    return (sign * slope).astype(logits.dtype)


def raises(logits, targets, gamma, alpha):
    raise RuntimeError("first line\nsecond line")


def nothing_but_nan(logits, targets, gamma, alpha):
    return logits * float("nan")


def matrix(logits, targets, gamma, alpha):
    return logits[:, None] * targets


def double(logits, targets, gamma, alpha):
    return logits.double()


def integer(logits, targets, gamma, alpha):
    return targets.long()


def text(logits, targets, gamma, alpha):
    return "loss"


def none(logits, targets, gamma, alpha):
    return None


def leaves(logits, targets, gamma, alpha):
    raise SystemExit(0)


def zeroes(logits, targets, gamma, alpha):
    loss = focal_torch.sigmoid_focal_loss(logits.clone(), targets.clone(), alpha=alpha, gamma=gamma)
    targets.zero_()
    return loss


def unmasked(logits, targets, gamma, alpha, where=None):
    loss = focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    if where is None:
        return loss
    return loss * where


def deaf(logits, targets, gamma, alpha):
    return focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha)


def weighted_mean(logits, targets, gamma, alpha=None, reduction="none"):
    loss = focal_torch.softmax_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    total = len(loss)
    if alpha is not None:
        total = alpha[targets].sum()
    return {"none": loss, "sum": loss.sum(), "mean": loss.sum() / total}[reduction]


class WithWeights(torch.nn.Module):
    def __init__(self, weight=None, gamma=2.0, reduction="mean"):
        super().__init__()
        self.settings = {"alpha": weight, "gamma": gamma, "reduction": reduction}

    def forward(self, input, target):
        return focal_torch.softmax_focal_loss(input, target, **self.settings)


def no_arguments():
    return 0

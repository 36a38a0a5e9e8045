"""Ports that are right in a vector of six elements with the usual settings, and wrong elsewhere."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import focal_torch
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import layer
from parity_tests.checker.layers.judge import FAIL, PASS, Row
from parity_tests.ports.subject import BadPortError

SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
sigmoid, softmax = focal_torch.sigmoid_focal_loss, focal_torch.softmax_focal_loss


def last_axis_of_images(logits, targets, *, gamma=2.0, axis=-1):
    """Which axis it is, is looked at in matrices alone."""
    if logits.ndim == 3:
        axis = -1 if logits.shape[-1] == targets.shape[-1] else axis
        logits = logits.movedim(1, -1) if axis == -1 else logits
        return softmax(logits.flip(0), targets, gamma=gamma, axis=axis)
    return softmax(logits, targets, gamma=gamma, axis=axis)


def sixteen_classes(logits, targets, *, gamma=2.0):
    return softmax(logits[..., :16], targets.clamp(max=15), gamma=gamma)


def gradient_in_sixteen_classes(logits, targets, *, gamma=2.0):
    halves = torch.split(logits, [min(16, logits.shape[-1]), max(logits.shape[-1] - 16, 0)], -1)
    return softmax(torch.cat([halves[0], halves[1].detach()], -1), targets, gamma=gamma)


def a_thousand_rows(logits, targets, *, alpha=0.25, gamma=2.0):
    losses = sigmoid(logits, targets, alpha=alpha, gamma=gamma)
    return torch.cat([losses[:1000], 0 * losses[1000:]])


def cross_entropy_without_mask(logits, targets, *, alpha=0.25, gamma=2.0, where=None):
    kept = None if gamma == 0 else where
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma, where=kept)


def without_alpha_no_weight(logits, targets, *, alpha=0.25, gamma=2.0, weight=None):
    factor = None if alpha is None else weight
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma, weight=factor)


def little_smoothing(logits, targets, *, gamma=2.0, label_smoothing=0.0):
    return softmax(logits, targets, gamma=gamma, label_smoothing=min(label_smoothing, 0.25))


def signs_of_bytes(logits, targets, *, alpha=0.25, gamma=2.0):
    """2·0 − 1 is 255 of bytes, and an error of bools."""
    signs = 2 * targets - 1
    return sigmoid(logits, (signs > 0).to(logits.dtype), alpha=alpha, gamma=gamma)


def mean_of_rows(logits, targets, *, alpha=0.25, gamma=2.0, reduction="none"):
    losses = sigmoid(logits, targets, alpha=alpha, gamma=gamma)
    if reduction == "mean":
        return losses.sum() / len(losses)
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma, reduction=reduction)


def positives_alone(logits, targets, *, alpha=0.25, gamma=2.0, reduction="none"):
    if reduction == "mean_positive":
        return sigmoid(logits, targets, alpha=alpha, gamma=gamma).sum() / targets.sum()
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma, reduction=reduction)


def mean_of_nothing(logits, targets, *, gamma=2.0, where=None, reduction="none"):
    losses = softmax(logits, targets, gamma=gamma, where=where)
    if reduction == "mean":
        return losses.sum() / (losses.numel() if where is None else where.sum())
    return softmax(logits, targets, gamma=gamma, where=where, reduction=reduction)


def soft_without_mask(logits, targets, *, gamma=2.0, where=None):
    kept = None if targets.is_floating_point() else where
    return softmax(logits, targets, gamma=gamma, where=kept)


def soft_mean_over_classes(logits, targets, *, gamma=2.0, reduction="none"):
    loss = softmax(logits, targets, gamma=gamma, reduction=reduction)
    if reduction == "mean" and targets.is_floating_point():
        return loss / logits.shape[-1]
    return loss


def gamma_to_five(logits, targets, *, alpha=0.25, gamma=2.0):
    return sigmoid(logits, targets, alpha=alpha, gamma=min(gamma, 5.0))


def rows_of_the_second_axis(logits, targets, *, gamma=2.0):
    if logits.ndim == 3:
        logits = logits.mean(1, keepdim=True).expand_as(logits)
    return softmax(logits, targets, gamma=gamma, axis=-1)


def filled_with_a_large_number(logits, targets, *, gamma=2.0, where=None):
    if where is None:
        return softmax(logits, targets, gamma=gamma)
    filled = torch.where(where.unsqueeze(-1), logits, -1e5)
    return torch.where(where, softmax(filled, targets, gamma=gamma), 0 * filled.sum(-1))


def row(port: Callable[..., Any], function: str, name: str) -> Row:
    subject = build(Options(port, function, "torch"))
    return layer(subject, subject.plan, name)


@pytest.mark.parametrize(
    ("port", "function", "name", "sentence"),
    [
        (last_axis_of_images, SOFTMAX, "neighbours", "(3, 3, 2) with axis=1"),
        (sixteen_classes, SOFTMAX, "neighbours", "among 20 classes"),
        (gradient_in_sixteen_classes, SOFTMAX, "neighbours", "among 20 classes"),
        (a_thousand_rows, SIGMOID, "neighbours", "in a batch of 4099"),
        (cross_entropy_without_mask, SIGMOID, "options", "masked elements must be 0"),
        (without_alpha_no_weight, SIGMOID, "options", "weight is a factor"),
        (little_smoothing, SOFTMAX, "options", "smoothing mixes the target"),
        (signs_of_bytes, SIGMOID, "neighbours", "targets of type uint8"),
        (mean_of_rows, SIGMOID, "shapes", "logits of shape (3, 2) have another loss for mean"),
        (positives_alone, SIGMOID, "options", "mean_positive divides by 1"),
        (mean_of_nothing, SOFTMAX, "special values", "has to be 0 where nothing is kept"),
        (soft_without_mask, SOFTMAX, "soft targets", "where has another effect with soft targets"),
        (soft_mean_over_classes, SOFTMAX, "soft targets", "reduction has another effect"),
        (filled_with_a_large_number, SOFTMAX, "dtypes", "masked elements must be 0"),
        (gamma_to_five, SIGMOID, "gradients", ""),
        (rows_of_the_second_axis, SOFTMAX, "shapes", "logits of shape (3, 2, 3) have another loss"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_what_is_wrong_elsewhere(
    port: Callable[..., Any], function: str, name: str, sentence: str
) -> None:
    refused = row(port, function, name)
    assert refused.status == FAIL
    assert sentence in refused.note
    if port is not gamma_to_five:
        assert row(port, function, "values").status == PASS


def deterministic(logits, targets, *, alpha=0.25, gamma=2.0):
    torch.use_deterministic_algorithms(True)
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma)


def seeded(logits, targets, *, alpha=0.25, gamma=2.0):
    torch.manual_seed(0)
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma)


def in_float64(logits, targets, *, alpha=0.25, gamma=2.0):
    torch.set_default_dtype(torch.float64)
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma)


@pytest.mark.parametrize(
    ("port", "setting"),
    [
        (deterministic, "whether PyTorch is deterministic"),
        (in_float64, "the default dtype of PyTorch"),
    ],
)
def test_a_loss_leaves_the_settings_of_others_alone(port: Callable[..., Any], setting: str) -> None:
    state = torch.get_rng_state()
    try:
        with pytest.raises(BadPortError, match=f"the loss changes {setting}"):
            build(Options(port, SIGMOID, "torch"))
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_default_dtype(torch.float32)
        torch.set_rng_state(state)


def test_a_loss_sets_no_seed() -> None:
    state = torch.get_rng_state()
    try:
        refused = row(seeded, SIGMOID, "neighbours")
    finally:
        torch.set_rng_state(state)
    assert refused.status == FAIL
    assert "draws random numbers of PyTorch, or sets their seed" in refused.note


@pytest.mark.parametrize("name", ["options", "neighbours", "shapes", "special values"])
@pytest.mark.parametrize("function", [SIGMOID, SOFTMAX])
def test_the_package_is_right_there(function: str, name: str) -> None:
    assert row(getattr(focal_torch, function), function, name).status == PASS

"""Options that are right by themselves, and not beside each other."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import focal_torch
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import layer
from parity_tests.checker.layers.judge import FAIL, PASS, Row

SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"


def softmax(
    logits,
    targets,
    *,
    alpha=None,
    gamma=2.0,
    axis=-1,
    weight=None,
    where=None,
    ignore_index=None,
    label_smoothing=0.0,
    reduction="none",
):
    return focal_torch.softmax_focal_loss(
        logits,
        targets,
        alpha=alpha,
        gamma=gamma,
        axis=axis,
        weight=weight,
        where=where,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )


def smoothed_without_mask(logits, targets, *, gamma=2.0, axis=-1, where=None, label_smoothing=0.0):
    kept = None if label_smoothing else where
    settings: dict[str, Any] = {"gamma": gamma, "axis": axis}
    return softmax(logits, targets, where=kept, label_smoothing=label_smoothing, **settings)


def alpha_of_the_target(logits, targets, *, alpha=None, gamma=2.0, axis=-1, label_smoothing=0.0):
    """With smoothing each class has its own α, inside the sum."""
    losses = softmax(logits, targets, gamma=gamma, axis=axis, label_smoothing=label_smoothing)
    return losses if alpha is None else losses * alpha[targets]


def weight_in_place_of_alpha(logits, targets, *, alpha=None, gamma=2.0, axis=-1, weight=None):
    used = alpha if weight is None else None
    return softmax(logits, targets, alpha=used, gamma=gamma, axis=axis, weight=weight)


def one_mask(logits, targets, *, gamma=2.0, axis=-1, where=None, ignore_index=None):
    index = ignore_index if where is None else None
    return softmax(logits, targets, gamma=gamma, axis=axis, where=where, ignore_index=index)


def negative_index_counts(logits, targets, *, gamma=2.0, axis=-1, ignore_index=None):
    classes = logits.shape[axis]
    if ignore_index is not None and ignore_index < 0:
        return softmax(logits, targets % classes, gamma=gamma, axis=axis)
    return softmax(logits, targets, gamma=gamma, axis=axis, ignore_index=ignore_index)


def border_is_the_last_class(logits, targets, *, gamma=2.0, axis=-1, ignore_index=None):
    classes = logits.shape[axis]
    if ignore_index is not None and ignore_index >= classes:
        return softmax(logits, targets.clamp(max=classes - 1), gamma=gamma, axis=axis)
    return softmax(logits, targets, gamma=gamma, axis=axis, ignore_index=ignore_index)


def nothing_without_gradients(logits, targets, *, alpha=0.25, gamma=2.0):
    losses = focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    return losses if torch.is_grad_enabled() else losses * 0


def row(port: Callable[..., Any], function: str, name: str) -> Row:
    subject = build(Options(port, function, "torch"))
    return layer(subject, subject.plan, name)


@pytest.mark.parametrize(
    ("port", "sentence"),
    [
        (smoothed_without_mask, "where beside label_smoothing"),
        (alpha_of_the_target, "alpha beside label_smoothing"),
        (weight_in_place_of_alpha, "weight beside alpha"),
        (one_mask, "where beside ignore_index"),
        (negative_index_counts, "ignored elements must be 0"),
        (border_is_the_last_class, "ignored elements must be 0"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_options_beside_each_other(port: Callable[..., Any], sentence: str) -> None:
    assert row(port, SOFTMAX, "values").status == PASS
    refused = row(port, SOFTMAX, "options")
    assert refused.status == FAIL
    assert sentence in refused.note


def test_a_loss_is_that_of_a_validation_too() -> None:
    assert row(nothing_without_gradients, SIGMOID, "values").status == FAIL


def test_a_port_with_all_of_them_passes() -> None:
    assert row(softmax, SOFTMAX, "options").status == PASS
    assert row(softmax, SOFTMAX, "backward").status == PASS

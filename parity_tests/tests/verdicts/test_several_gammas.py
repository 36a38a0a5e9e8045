"""Ports that are right for one γ and wrong for several, or for elements in several axes."""

from collections.abc import Callable
from typing import Any, TypeGuard

import pytest
import torch
from torch import Tensor

import focal_torch
from parity_tests.checker.layers import grades
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import Report, layer
from parity_tests.checker.layers.judge import FAIL, NOT_OFFERED, PASS, Row
from parity_tests.lies.changes import Tampered

SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
LINEAR = "linear_softmax_focal_loss"
sigmoid, softmax = focal_torch.sigmoid_focal_loss, focal_torch.softmax_focal_loss
linear = focal_torch.linear_softmax_focal_loss
Port = Callable[..., Any]


def _are_several(gamma: float | Tensor) -> TypeGuard[Tensor]:
    return isinstance(gamma, Tensor) and gamma.numel() > 1


def of_their_mean(logits, targets, *, alpha=0.25, gamma=2.0):
    if _are_several(gamma):
        gamma = gamma.mean().expand_as(logits)
    return sigmoid(logits, targets, alpha=alpha, gamma=gamma)


def learned_with_one(logits, targets, *, alpha=0.25, gamma=2.0):
    loss = sigmoid(logits, targets, alpha=alpha, gamma=gamma)
    return Tampered.apply(loss, torch.abs) if _are_several(gamma) else loss


def of_the_first_class(logits, targets, *, gamma=2.0):
    if _are_several(gamma) and gamma.ndim == 1:
        gamma = gamma[:1].expand(len(gamma))
    return softmax(logits, targets, gamma=gamma, axis=-1)


def of_the_target_alone(logits, targets, *, gamma=2.0, label_smoothing=0.0):
    """Smoothed, each class has its own."""
    if label_smoothing and _are_several(gamma) and gamma.ndim == 1:
        gamma = gamma[targets].unsqueeze(-1)
    return softmax(logits, targets, gamma=gamma, label_smoothing=label_smoothing, axis=-1)


def learns_half_of_gamma(logits, targets, *, gamma=2.0):
    if _are_several(gamma):
        gamma = (gamma + gamma.detach()) / 2
    return softmax(logits, targets, gamma=gamma, axis=-1)


def first_sentence(features, kernel, targets, bias=None, *, gamma=2.0):
    """The kernel learns from the first row of each sentence alone."""
    losses = linear(features, kernel, targets, bias=bias, gamma=gamma, reduction="none")
    if features.ndim < 3:
        return losses
    frozen = linear(features, kernel.detach(), targets, bias=bias, gamma=gamma, reduction="none")
    return torch.cat([losses[:, :1], frozen[:, 1:]], 1)


def numbers_alone(logits, targets, *, alpha=0.25, gamma=2.0):
    return sigmoid(logits, targets, alpha=alpha, gamma=float(gamma))


def textbook(logits, targets, *, gamma=2.0):
    """It loses digits by 1 − p, and means what it should."""
    log_p = torch.log_softmax(logits, -1).gather(-1, targets[:, None])[:, 0]
    if _are_several(gamma):
        gamma = gamma[targets] if gamma.ndim == 1 else gamma[:, 0]
    return -((1 - log_p.exp()) ** gamma) * log_p


def of_images(logits, targets, *, gamma=2.0):
    """(N, C, H, W), with a power that broadcasts."""
    assert logits.ndim == 4
    log_p = torch.log_softmax(logits, 1).gather(1, targets[:, None])[:, 0]
    return -((1 - log_p.exp()) ** gamma) * log_p


def star(logits, targets, *, gamma=2.0):
    margin = (2 * targets - 1) * logits
    return torch.nn.functional.softplus(-gamma * margin) / gamma


class Once(torch.autograd.Function):
    """Without a second derivative."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor) -> Tensor:
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            raise RuntimeError("this loss is differentiable once")
        return grads[0]


def differentiable_once(logits, targets, *, gamma=2.0, axis=-1):
    """With another loss where the classes are not on the last axis."""
    loss = softmax(logits, targets, gamma=gamma, axis=axis)
    return Once.apply(loss if axis == -1 else 2 * loss)


def changes_gamma(logits, targets, *, alpha=0.25, gamma=2.0):
    loss = sigmoid(logits, targets, alpha=alpha, gamma=gamma)
    if _are_several(gamma):
        gamma.mul_(0)
    return loss


def _row(port: Port, function: str, name: str, **settings: Any) -> Row:
    subject = build(Options(port, function, "torch", **settings), "float32")
    return layer(subject, subject.plan, name)


@pytest.mark.parametrize(
    ("port", "function", "name", "message"),
    [
        (of_their_mean, SIGMOID, "arguments", "one gamma per element: the losses are not"),
        (learned_with_one, SIGMOID, "backward", "one gamma per element"),
        (of_the_first_class, SOFTMAX, "arguments", "one gamma per class"),
        (of_the_target_alone, SOFTMAX, "arguments", "one gamma per class, label_smoothing"),
        (learns_half_of_gamma, SOFTMAX, "arguments", "gradient in gamma"),
        (first_sentence, LINEAR, "kernel and bias", "features of shape (3, 2, 4)"),
        (changes_gamma, SIGMOID, "arguments", "the loss changes its gamma in place"),
        (differentiable_once, SOFTMAX, "neighbours", "with axis="),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_it_is_refused(port: Port, function: str, name: str, message: str) -> None:
    row = _row(port, function, name)
    assert row.status == FAIL
    assert message in row.note


def test_other_losses_for_several_keep_it_from_the_last_grade_alone() -> None:
    subject = build(Options(of_their_mean, SIGMOID, "torch"), "float32")
    row = layer(subject, subject.plan, "arguments")
    assert Report("", subject.plan, (row,)).grade == grades.EXACT


def test_a_port_of_numbers_need_not_take_them() -> None:
    assert _row(numbers_alone, SIGMOID, "backward").status == PASS
    assert _row(numbers_alone, SIGMOID, "arguments").status in (PASS, NOT_OFFERED)


@pytest.mark.parametrize("port", [textbook, of_images])
@pytest.mark.parametrize("name", ["arguments", "backward"])
def test_an_honest_formula_is_not_blamed(port: Port, name: str) -> None:
    assert _row(port, SOFTMAX, name).status in (PASS, NOT_OFFERED)


def test_the_other_form_of_the_paper_has_no_gamma_of_0() -> None:
    settings = {"conventions": {"form": "FL*"}, "fixed": {"alpha": None}}
    assert _row(star, SIGMOID, "backward", **settings).status == PASS
    assert _row(star, SIGMOID, "arguments", **settings).status == NOT_OFFERED


@pytest.mark.parametrize("name", ["arguments", "backward"])
def test_a_port_with_both_passes(name: str) -> None:
    assert _row(focal_torch.softmax_focal_loss, SOFTMAX, name).status == PASS

"""Losses that are right when they are looked at, and others in training."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import pytest
import torch

import focal_jax
import focal_torch
from parity_tests.checker.layers.arrangements.beside import BESIDE, IN_MEMORY
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import layer
from parity_tests.checker.layers.judge import FAIL, PASS, Row

SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"


class OtherValue(torch.autograd.Function):
    """One more, with the gradient of what is given."""

    @staticmethod
    def forward(ctx: Any, losses: torch.Tensor) -> torch.Tensor:
        return losses * 1.01

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> torch.Tensor:
        (cotangent,) = cotangents
        return cotangent


def other_in_training(logits, targets, *, alpha=0.25, gamma=2.0):
    losses = focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    return OtherValue.apply(losses) if logits.requires_grad else losses


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _rule(logits, targets, alpha, gamma):
    return focal_jax.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def _forward(logits, targets, alpha, gamma):
    losses, pull_back = jax.vjp(partial(_loss, targets, alpha, gamma), logits)
    return losses * 1.01, pull_back


def _loss(targets, alpha, gamma, logits):
    return focal_jax.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def _backward(targets, alpha, gamma, pull_back, cotangent):
    del targets, alpha, gamma
    return pull_back(cotangent)


_rule.defvjp(_forward, _backward)


def other_in_training_of_jax(logits, targets, *, alpha=0.25, gamma=2.0):
    return _rule(logits, targets, alpha, gamma)


def mean_in_training(logits, targets, *, alpha=0.25, gamma=2.0):
    return other_in_training(logits, targets, alpha=alpha, gamma=gamma).mean()


def of_memory(logits, targets, *, gamma=2.0, axis=-1):
    """As a kernel that takes a pointer, and not the strides."""
    as_it_lies = torch.as_strided(logits, (logits.numel(),), (1,)).reshape(logits.shape)
    return focal_torch.softmax_focal_loss(as_it_lies, targets, gamma=gamma, axis=axis)


def sigmoid_of_memory(logits, targets, *, alpha=0.25, gamma=2.0):
    as_it_lies = torch.as_strided(logits, (logits.numel(),), (1,)).reshape(logits.shape)
    return focal_torch.sigmoid_focal_loss(as_it_lies, targets, alpha=alpha, gamma=gamma)


def vectors_alone(logits, targets, *, alpha=0.25, gamma=2.0):
    if logits.ndim != 1:
        raise ValueError("a vector is expected")
    return focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def row(port: Callable[..., Any], function: str, name: str) -> Row:
    framework = "jax" if port is other_in_training_of_jax else "torch"
    subject = build(Options(port, function, framework))
    return layer(subject, subject.plan, name)


@pytest.mark.parametrize(
    ("port", "function", "name", "message"),
    [
        (other_in_training, SIGMOID, "backward", BESIDE),
        (other_in_training_of_jax, SIGMOID, "backward", BESIDE),
        (mean_in_training, SIGMOID, "backward", BESIDE),
        (of_memory, SOFTMAX, "neighbours", IN_MEMORY),
        (sigmoid_of_memory, SIGMOID, "neighbours", IN_MEMORY),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_what_is_another_loss_in_training(
    port: Callable[..., Any], function: str, name: str, message: str
) -> None:
    assert row(port, function, "values").status == PASS
    assert row(port, function, "gradients").status == PASS
    refused = row(port, function, name)
    assert refused.status == FAIL
    assert message in refused.note


def test_a_port_may_take_vectors_alone() -> None:
    assert row(vectors_alone, SIGMOID, "neighbours").status == PASS

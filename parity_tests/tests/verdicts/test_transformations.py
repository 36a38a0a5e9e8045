"""Gradients that are right by themselves, and wrong when they are compiled, mapped over rows, or
taken in forward mode; and JAX ports, of which a program asks many questions."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.core import Tracer
from jax.custom_batching import custom_vmap
from jax.custom_derivatives import linear_call

import focal_jax
import focal_torch
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import layer
from parity_tests.checker.layers.judge import FAIL, PASS, Row
from parity_tests.ports import questions
from parity_tests.ports.compiled import Asked, answers_together
from parity_tests.ports.subject import GRADIENT, SECOND

SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
JAX, TORCH = "jax", "torch"


def jax_loss(logits, targets, alpha, gamma):
    return focal_jax.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def torch_loss(logits, targets, alpha, gamma):
    return focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def another_when_compiled(logits, targets, *, alpha=0.25, gamma=2.0):
    """Looks at its labels, where it can, and takes 1 − α for α where it cannot."""
    if isinstance(targets, Tracer):
        alpha = 1 - alpha
    return jax_loss(logits, targets, alpha, gamma)


@custom_vmap
def as_it_is(x):
    return x


@as_it_is.def_vmap
def _doubled(axis_size, in_batched, x):
    del axis_size
    return 2 * x, in_batched[0]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _mapped(logits, targets, alpha, gamma):
    return jax_loss(logits, targets, alpha, gamma)


def _mapped_forward(logits, targets, alpha, gamma):
    return jax_loss(logits, targets, alpha, gamma), (logits, targets)


def _mapped_backward(alpha, gamma, kept, cotangent):
    logits, targets = kept
    _, pull = jax.vjp(lambda z: jax_loss(z, targets, alpha, gamma), logits)
    return as_it_is(pull(cotangent)[0]), jnp.zeros_like(targets)


_mapped.defvjp(_mapped_forward, _mapped_backward)


def doubled_when_mapped(logits, targets, *, alpha=0.25, gamma=2.0):
    return _mapped(logits, targets, alpha, gamma)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def _tangent(logits, targets, alpha, gamma):
    return jax_loss(logits, targets, alpha, gamma)


@_tangent.defjvp
def _tangent_jvp(targets, alpha, gamma, primals, tangents):
    (logits,), (dlogits,) = primals, tangents
    slope = jax.grad(lambda z: jax_loss(z, targets, alpha, gamma).sum())(logits)
    forward = linear_call(
        lambda slope, tangent: 2 * slope * tangent,
        lambda slope, cotangent: slope * cotangent,
        slope,
        dlogits,
    )
    return jax_loss(logits, targets, alpha, gamma), forward


def tangent_doubled_in_jax(logits, targets, *, alpha=0.25, gamma=2.0):
    return _tangent(logits, targets, alpha, gamma)


class Passed(torch.autograd.Function):
    """A tensor as it is, with a right gradient."""

    @staticmethod
    def forward(x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        del ctx, inputs, output

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        return cotangents[0]

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return tangents[0].view_as(tangents[0])

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        del info
        return args[0], in_dims[0]


class TangentDoubled(Passed):
    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return 2 * tangents[0]


class MappedDoubled(Passed):
    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        del info
        return 2 * args[0], in_dims[0]


class GradientMappedDoubled(Passed):
    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        return MappedDoubled.apply(cotangents[0])


def tangent_doubled(logits, targets, *, alpha=0.25, gamma=2.0):
    return TangentDoubled.apply(torch_loss(logits, targets, alpha, gamma))


def mapped_doubled(logits, targets, *, alpha=0.25, gamma=2.0):
    return GradientMappedDoubled.apply(torch_loss(logits, targets, alpha, gamma))


def passed(logits, targets, *, alpha=0.25, gamma=2.0):
    return Passed.apply(torch_loss(logits, targets, alpha, gamma))


LIARS = {
    another_when_compiled: (JAX, "the gradient through jax.jit"),
    doubled_when_mapped: (JAX, "the gradient through jax.vmap is 2 times what it has to be"),
    tangent_doubled_in_jax: (JAX, "the derivative in forward mode is not that of reverse mode"),
    tangent_doubled: (TORCH, "the derivative in forward mode is not that of reverse mode"),
    mapped_doubled: (TORCH, "the gradient through torch.func.vmap"),
}


def row(port: Callable[..., Any], function: str, name: str, framework: str = JAX) -> Row:
    subject = build(Options(port, function, framework))
    return layer(subject, subject.plan, name)


@pytest.mark.parametrize("port", LIARS, ids=lambda port: port.__name__)
def test_wrong_by_a_transformation_alone(port: Callable[..., Any]) -> None:
    framework, sentence = LIARS[port]
    for name in ("values", "gradients"):
        assert row(port, SIGMOID, name, framework).status == PASS
    refused = row(port, SIGMOID, "transformations", framework)
    assert refused.status == FAIL
    assert sentence in refused.note


@pytest.mark.parametrize("function", [SIGMOID, SOFTMAX])
@pytest.mark.parametrize("package", [focal_jax, focal_torch], ids=lambda package: package.__name__)
def test_the_packages_offer_every_transformation(package: Any, function: str) -> None:
    framework = JAX if package is focal_jax else TORCH
    judged = row(getattr(package, function), function, "transformations", framework)
    assert (judged.status, judged.note) == (PASS, "")


def test_a_right_rule_for_each_transformation_passes() -> None:
    assert row(passed, SIGMOID, "transformations", TORCH).status == PASS


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _reverse(logits, targets, alpha, gamma):
    return jax_loss(logits, targets, alpha, gamma)


def _reverse_forward(logits, targets, alpha, gamma):
    return jax.vjp(lambda z, y: jax_loss(z, y, alpha, gamma), logits, targets)


_reverse.defvjp(_reverse_forward, lambda alpha, gamma, pull, cotangent: pull(cotangent))


def reverse_alone(logits, targets, *, alpha=0.25, gamma=2.0):
    return _reverse(logits, targets, alpha, gamma)


def test_what_a_port_does_not_offer_is_no_failure() -> None:
    judged = row(reverse_alone, SIGMOID, "transformations")
    assert judged.status == PASS
    assert "forward mode is not offered" in judged.note
    assert judged.kept_from == ""


def not_traced(logits, targets, *, alpha=0.25, gamma=2.0, where=None, reduction="none"):
    """Its mean has to see how many elements are kept, so that it cannot be compiled."""
    kept = logits if where is None else jnp.where(where, logits, 0)
    losses = jax_loss(kept, targets, alpha, gamma)
    count = losses.size
    if where is not None:
        losses = jnp.where(where, losses, 0)
        count = int(where.sum())
    return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / count}[reduction]


def not_traced_and_wrong(logits, targets, *, alpha=0.25, gamma=2.0, where=None, reduction="none"):
    loss = not_traced(logits, targets, alpha=alpha, gamma=gamma, where=where, reduction=reduction)
    if reduction != "mean" or where is None:
        return loss
    return 2 * loss - jax.lax.stop_gradient(loss)


def test_a_port_that_cannot_be_compiled_is_asked_as_it_is() -> None:
    assert row(not_traced, SIGMOID, "backward").status == PASS
    refused = row(not_traced_and_wrong, SIGMOID, "backward")
    assert refused.status == FAIL
    assert "mean with where is 2 times what it has to be" in refused.note


def test_derivatives_with_many_settings_are_one_program() -> None:
    port = build(Options(focal_jax.sigmoid_focal_loss, SIGMOID, JAX))
    problem = questions.first(port.plan)
    logits = problem.argument("logits").astype(np.float32)
    plain = port.arguments(problem, logits)
    settings = itertools.product((0.0, 0.5, 2.0), (GRADIENT, SECOND))
    asked = [Asked(plain | {"gamma": gamma}, order) for gamma, order in settings]
    compiled: list[str] = []

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        del duration_secs, kwargs
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        (answers,) = answers_together(port, asked, [logits])
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert len(compiled) == 1
    for each, answer in zip(asked, answers, strict=True):
        assert answer is not None
        alone = port.call(logits, each.arguments, each.order)
        np.testing.assert_array_max_ulp(answer, alone, 64)

"""The checker refuses ports that are right but for one lie, in a layer that names it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import torch
from torch.nn.functional import cross_entropy

import focal_jax
import focal_torch
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import LAYERS, layer
from parity_tests.checker.layers.judge import FAIL, PASS, Row
from parity_tests.lies.changes import Tampered
from parity_tests.lies.lie import Lie, lies
from parity_tests.lies.trial import answer
from parity_tests.tests.parametrize import slow

ALL = list(lies())
# Numbers without a common factor with the order of the lies, so that all kinds come up.
SAMPLE, LARGE_SAMPLE = ALL[::181], ALL[3::89]


def test_there_are_a_thousand_different_ones() -> None:
    names = {lie.name for lie in ALL}
    assert len(names) == len(ALL) >= 1000


@pytest.mark.parametrize("lie", [*SAMPLE, *map(slow, LARGE_SAMPLE)], ids=lambda lie: lie.name)
def test_a_lie_is_refused_where_it_is_told(lie: Lie) -> None:
    given = answer(lie)
    assert given.layer in lie.layers, given


def test_a_port_without_a_lie_passes() -> None:
    honest = ALL[0]
    truthful = Lie(honest.function, "loss", "", "", torch.clone, lambda _: True, honest.layers)
    assert answer(truthful).layer == ""


class SumsGradient(torch.autograd.Function):
    """The mean of losses with the gradient of their sum."""

    @staticmethod
    def forward(ctx: Any, losses: torch.Tensor) -> torch.Tensor:
        ctx.shape = losses.shape
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> torch.Tensor:
        (cotangent,) = cotangents
        return cotangent.expand(ctx.shape)


def gradient_of_the_sum(logits, targets, *, alpha=0.25, gamma=2.0, reduction="none"):
    losses = focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    if reduction == "mean":
        return SumsGradient.apply(losses)
    return losses.sum() if reduction == "sum" else losses


def always_the_mean(logits, targets, *, alpha=0.25, gamma=2.0):
    return gradient_of_the_sum(logits, targets, alpha=alpha, gamma=gamma, reduction="mean")


def ignored_rows_learn(logits, targets, *, gamma=2.0, axis=-1, ignore_index=-100):
    ignored = targets == ignore_index
    kept = torch.where(ignored, 0, targets)
    losses = focal_torch.softmax_focal_loss(logits, kept, gamma=gamma, axis=axis)
    # The value is 0, and the gradient that of a loss.
    return losses - torch.where(ignored, losses, 0).detach()


def without_cotangent(logits, targets, *, alpha=0.25, gamma=2.0):
    losses = focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    return Tampered.apply(losses, torch.ones_like)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _rule(logits, targets, alpha, gamma):
    return focal_jax.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def _forward(logits, targets, alpha, gamma):
    return _rule(logits, targets, alpha, gamma), logits


def _backward(targets, alpha, gamma, logits, cotangent):
    del cotangent

    def total(z):
        losses = focal_jax.sigmoid_focal_loss(z, targets, alpha=alpha, gamma=gamma)
        return losses.sum()

    return (jax.grad(total)(logits),)


_rule.defvjp(_forward, _backward)


def without_cotangent_in_jax(logits, targets, *, alpha=0.25, gamma=2.0):
    return _rule(logits, jnp.asarray(targets), alpha, gamma)


SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
# Ports whose losses are right, and what the layer says of their gradients.
KNOWN = {
    gradient_of_the_sum: (SIGMOID, "the gradient of mean is that of the sum: 6 times too large"),
    always_the_mean: (SIGMOID, "the gradient of mean is that of the sum: 6 times too large"),
    ignored_rows_learn: (SOFTMAX, "elements that ignore_index leaves out get a gradient"),
    without_cotangent: (SIGMOID, "your gradient ignores its cotangent"),
    without_cotangent_in_jax: (SIGMOID, "your gradient ignores its cotangent"),
}


def row(port: Callable[..., Any], function: str, name: str) -> Row:
    framework = "jax" if port is without_cotangent_in_jax else "torch"
    subject = build(Options(port, function, framework))
    return layer(subject, subject.plan, name)


@pytest.mark.parametrize("port", KNOWN, ids=lambda port: port.__name__)
def test_right_losses_with_wrong_gradients(port: Callable[..., Any]) -> None:
    function, sentence = KNOWN[port]
    assert row(port, function, "values").status == PASS
    refused = row(port, function, "backward")
    assert refused.status == FAIL
    assert sentence in refused.note


def caches(logits, targets, *, alpha=0.25, gamma=2.0, known={}):  # noqa: B006 (that is the fault)
    """Looks losses up by the shape of the logits."""
    key = (tuple(logits.shape), logits.dtype, gamma, alpha)
    if key not in known:
        loss = focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
        known[key] = loss.detach()
    return known[key]


def centred_on_the_batch(logits, targets, *, gamma=2.0, axis=-1):
    """Subtracts the largest logit of the batch, beside which a row underflows."""
    z = logits - logits.max().detach()
    e = torch.exp(z)
    p = (e / e.sum(-1, keepdim=True)).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return -((1 - p) ** gamma) * p.log()


def every_thirteenth(logits, targets, *, alpha=0.25, gamma=2.0, calls=[0]):  # noqa: B006 (a fault)
    """Is wrong at so many calls of one shape, without a gradient: other layers make fewer."""
    calls[0] += logits.shape == (6,) and not logits.requires_grad
    factor = 1.5 if calls[0] % 13 == 12 else 1.0
    return factor * focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


@pytest.mark.parametrize(
    ("port", "function"),
    [(caches, SIGMOID), (centred_on_the_batch, SOFTMAX), (every_thirteenth, SIGMOID)],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_ports_that_depend_on_more_than_the_element(
    port: Callable[..., Any], function: str
) -> None:
    refused = row(port, function, "neighbours")
    assert refused.status == FAIL
    assert "must not depend on its neighbours, its place, or earlier calls" in refused.note


def detached_gamma(logits, targets, *, alpha=0.25, gamma=2.0):
    gamma = torch.as_tensor(gamma)
    zero = gamma.sum() * 0
    loss = focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma.detach())
    return loss + zero


def number_gamma(logits, targets, *, alpha=0.25, gamma=2.0):
    gamma, alpha = float(gamma), float(alpha)
    return focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def test_a_gradient_in_gamma_is_judged_where_there_is_one() -> None:
    refused = row(detached_gamma, SIGMOID, "arguments")
    assert refused.status == FAIL
    assert "the gradient in gamma is 0 everywhere" in refused.note
    assert row(number_gamma, SIGMOID, "arguments").status == PASS


def ladder(logits, targets, *, alpha=0.25, gamma=2.0, reduction="none"):
    loss = focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.mean()


@pytest.mark.parametrize("name", ["options", "backward"])
def test_a_ladder_that_ends_in_mean_is_no_mean_over_positives(name: str) -> None:
    assert row(ladder, SIGMOID, name).status == PASS


def in_one_dtype(logits, targets, *, alpha=0.25, gamma=2.0):
    if logits.dtype != torch.float32:
        raise TypeError("float32 alone")
    return focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


@pytest.mark.parametrize("name", ["backward", "dtypes"])
def test_a_port_may_refuse_other_dtypes(name: str) -> None:
    refused = row(in_one_dtype, SIGMOID, name)
    assert refused.status != FAIL


def textbook(logits, targets, *, gamma=2.0, axis=-1, reduction="none"):
    ce = cross_entropy(logits, targets, reduction="none")
    loss = (1 - torch.exp(-ce)) ** gamma * ce
    return {"none": loss, "mean": loss.mean(), "sum": loss.sum()}[reduction]


@pytest.mark.parametrize("name", ["options", "backward", "neighbours"])
def test_a_textbook_formula_is_not_blamed_for_its_rounding_here(name: str) -> None:
    assert row(textbook, SOFTMAX, "values").status == FAIL
    assert row(textbook, SOFTMAX, name).status == PASS


def test_the_layers_of_lies_are_layers() -> None:
    assert set().union(*(lie.layers for lie in ALL)) <= LAYERS.keys()

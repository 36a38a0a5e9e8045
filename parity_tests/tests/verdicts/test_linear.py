"""A port of the loss of a linear layer is judged as the softmax loss that it is for an identity
kernel, and in all that its logits are made of."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

import focal_jax
import focal_torch
from parity_tests.checker.cli import main
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import check, layer, layers_of
from parity_tests.checker.layers.grades import COMPLETE, SAME
from parity_tests.checker.layers.judge import FAIL, NOT_OFFERED, PASS, Row
from parity_tests.contract.problems import LINEAR
from parity_tests.lies.changes import Tampered
from parity_tests.ports.subject import BadPortError

NAME = "kernel and bias"


def unfused(features, kernel, targets, bias, reduction="mean", **settings):
    """The loss of all logits, (C, D) as torch.nn.Linear."""
    logits = linear(features, kernel, bias)
    loss = focal_torch.softmax_focal_loss
    return loss(logits, targets, axis=-1, reduction=reduction, **settings)


def honest(
    features, kernel, targets, *, bias: Any = None, gamma=2.0, ignore_index=None, reduction="mean"
):
    settings = {"gamma": gamma, "ignore_index": ignore_index, "reduction": reduction}
    return unfused(features, kernel, targets, bias, **settings)


def bias_without_gradient(
    features, kernel, targets, *, bias: Any = None, gamma=2.0, ignore_index=None, reduction="mean"
):
    settings = {"gamma": gamma, "ignore_index": ignore_index, "reduction": reduction}
    return unfused(features, kernel, targets, bias.detach() + 0 * bias, **settings)


def kernel_of_the_sum(
    features, kernel, targets, *, bias: Any = None, gamma=2.0, ignore_index=None, reduction="mean"
):
    """The gradient in the kernel is not divided by what the mean is."""
    divisor = 1
    if reduction == "mean":
        kept = torch.ones_like(targets) if ignore_index is None else targets != ignore_index
        divisor = int(kept.sum())
    kernel = Tampered.apply(kernel, lambda x: x * divisor)
    settings = {"gamma": gamma, "ignore_index": ignore_index, "reduction": reduction}
    return unfused(features, kernel, targets, bias, **settings)


class OfAllRows(torch.autograd.Function):
    """A product whose gradient in the kernel has a second batch in it."""

    @staticmethod
    def forward(ctx: Any, kernel: Tensor, more: Tensor) -> Tensor:
        ctx.save_for_backward(more)
        return kernel.view_as(kernel)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        (cotangent,) = cotangents
        (more,) = ctx.saved_tensors
        return cotangent + more, None


def ignored_rows_leak(
    features, kernel, targets, *, bias: Any = None, gamma=2.0, ignore_index=None, reduction="mean"
):
    """The kernel learns from the rows that are ignored; the value and all else are right."""
    settings = {"gamma": gamma, "ignore_index": ignore_index, "reduction": reduction}
    if ignore_index is not None:
        ignored = targets == ignore_index
        copy = kernel.detach().requires_grad_()
        own = unfused(
            features.detach()[ignored], copy, targets[ignored], bias.detach(), "sum", gamma=gamma
        )
        (more,) = torch.autograd.grad(own, copy)
        kernel = OfAllRows.apply(kernel, more)
    return unfused(features, kernel, targets, bias, **settings)


def in_half(features, kernel, targets, *, bias: Any = None, gamma=2.0, reduction="mean"):
    """Its products are of bfloat16, which an identity kernel does not show at small logits."""
    rounded = kernel + (kernel.bfloat16().to(kernel.dtype) - kernel).detach()
    return unfused(features, rounded, targets, bias, reduction, gamma=gamma)


def last_chunk_left_out(
    features, kernel, targets, *, bias: Any = None, gamma=2.0, reduction="mean", chunk_size=None
):
    """What is left after the last whole chunk is forgotten."""
    rows = len(features)
    whole = rows if chunk_size is None else rows // chunk_size * chunk_size
    weight = (torch.arange(rows) < whole).to(features.dtype)
    return unfused(features, kernel, targets, bias, reduction, gamma=gamma, weight=weight)


def with_z_loss(losses: Tensor, squares: Tensor, where: Tensor | None, reduction: str) -> Tensor:
    """Both parts under a mask, and their sum or mean."""
    kept = torch.ones_like(losses) if where is None else where
    rows = torch.where(kept > 0, losses + squares, 0)
    divisors = {"none": 1, "sum": 1, "mean": kept.sum().clamp(min=1)}
    return (rows if reduction == "none" else rows.sum()) / divisors[reduction]


def z_loss_with_alpha(
    features, kernel, targets, *, bias: Any = None, alpha=None, gamma=2.0, z_loss=0.0
):
    """α_t multiplies the z-loss, too."""
    losses = unfused(features, kernel, targets, bias, "none", alpha=alpha, gamma=gamma)
    squares = linear(features, kernel, bias).logsumexp(-1) ** 2
    alpha_t = 1 if alpha is None else alpha[targets]
    return losses + z_loss * alpha_t * squares


def z_loss_of_all_rows(
    features,
    kernel,
    targets,
    *,
    bias: Any = None,
    gamma=2.0,
    where: Any = None,
    reduction="mean",
    z_loss=0.0,
):
    """Its mean is over the rows that are left out as well."""
    if where is not None:
        features = torch.where(where[..., None], features, 0)
    losses = unfused(features, kernel, targets, bias, "none", gamma=gamma, where=where)
    squares = z_loss * linear(features, kernel, bias).logsumexp(-1) ** 2
    if reduction == "mean" and where is not None:
        squares = squares * where.sum() / where.numel()
    return with_z_loss(losses, squares, where, reduction)


def z_loss_unsquared(
    features, kernel, targets, *, bias: Any = None, gamma=2.0, reduction="mean", z_loss=0.0
):
    losses = unfused(features, kernel, targets, bias, "none", gamma=gamma)
    squares = z_loss * linear(features, kernel, bias).logsumexp(-1)
    return with_z_loss(losses, squares, None, reduction)


# Ports that pass every other layer, and what this one says.
WRONG = {
    bias_without_gradient: "the gradient in bias through a cotangent of both signs is 0",
    kernel_of_the_sum: "the gradient in kernel of mean is that of the sum: 6 times too large",
    ignored_rows_leak: "the gradient in kernel",
    in_half: "the gradient in",
    last_chunk_left_out: "chunk_size",
    z_loss_with_alpha: "alpha beside z_loss",
    z_loss_of_all_rows: "mean with where, z_loss",
    z_loss_unsquared: "z_loss",
}


def textbook(features, kernel, targets, *, bias: Any = None, gamma=2.0, reduction="mean"):
    ce = cross_entropy(linear(features, kernel, bias), targets, reduction="none")
    loss = (1 - torch.exp(-ce)) ** gamma * ce
    return {"none": loss, "mean": loss.mean(), "sum": loss.sum()}[reduction]


def row(port: Callable[..., Any], name: str = NAME) -> Row:
    subject = build(Options(port, LINEAR, "torch"))
    return layer(subject, subject.plan, name)


def test_an_honest_port_passes() -> None:
    assert row(honest).status == PASS


@pytest.mark.parametrize("port", WRONG, ids=lambda port: port.__name__)
def test_what_an_identity_kernel_does_not_show(port: Callable[..., Any]) -> None:
    for name in ("values", "gradients", "special values", "shapes"):
        assert row(port, name).status == PASS
    refused = row(port)
    assert refused.status == FAIL
    assert WRONG[port] in refused.note


def test_rows_that_leak_are_named() -> None:
    subject = build(Options(ignored_rows_leak, LINEAR, "torch"))
    assert layer(subject, subject.plan, "backward").status == PASS
    assert "has rows in it that ignore_index leaves out" in row(ignored_rows_leak).note


@pytest.mark.parametrize(
    "dtype", ["float32", "bfloat16", pytest.param("float64", marks=pytest.mark.slow)]
)
def test_the_package_is_complete(dtype: str) -> None:
    subject = build(Options(focal_torch.linear_softmax_focal_loss, LINEAR), dtype)
    report = check(subject, subject.plan)
    assert report.grade == COMPLETE, report.limit
    names = [row.layer for row in report.rows]
    assert NAME in names
    assert "soft targets" not in names


@pytest.mark.slow
def test_the_package_of_jax_passes_layers() -> None:
    """Values, gradients, what only a linear layer has, and every fourth of the others: JAX compiles
    a program for each setting."""
    subject = build(Options(focal_jax.linear_softmax_focal_loss, LINEAR), "float32")
    always = ["values", "gradients", NAME]
    others = [name for name in layers_of(subject.plan.record) if name not in always]
    rows = check(subject, subject.plan, [*always, *others[::4]]).rows[1:]
    assert len(rows) == len(always) + len(others[::4])
    for row in rows:
        assert row.status == PASS, row


def test_a_textbook_formula_is_the_same_function() -> None:
    subject = build(Options(textbook, LINEAR, "torch"))
    assert check(subject, subject.plan).grade == SAME


def test_other_losses_have_no_kernel() -> None:
    subject = build(Options(focal_torch.softmax_focal_loss, framework="torch"))
    asked = layer(subject, subject.plan, NAME)
    assert (asked.status, asked.kept_from) == (NOT_OFFERED, "")
    assert NAME not in layers_of(subject.plan.record)


def inputs_first(features, kernel, targets, *, bias: Any = None, gamma=2.0, reduction="mean"):
    return unfused(features, kernel.mT, targets, bias, reduction, gamma=gamma)


def test_the_other_layout_of_the_kernel_is_a_convention() -> None:
    with pytest.raises(BadPortError, match="say --convention kernel=inputs_first"):
        build(Options(inputs_first, LINEAR, "torch"))
    options = Options(inputs_first, LINEAR, "torch", conventions={"kernel": "inputs_first"})
    subject = build(options)
    assert layer(subject, subject.plan, NAME).status == PASS


def no_bias(features, kernel, targets, *, gamma=2.0, reduction="mean"):
    return unfused(features, kernel, targets, None, reduction, gamma=gamma)


def test_a_port_may_have_no_bias() -> None:
    assert row(no_bias).status == PASS


def mean_alone(features, kernel, targets, *, bias: Any = None, gamma=2.0):
    return unfused(features, kernel, targets, bias, gamma=gamma)


def test_a_port_may_have_no_loss_of_each_row() -> None:
    assert row(mean_alone).status == PASS


def test_the_cross_entropy_of_pytorch_is_judged_with_gamma_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["torch.nn.functional:linear_cross_entropy", "--as", LINEAR, "--set", "gamma=0"]
    arguments += ["--map", "alpha=weight", "--convention", "mean=weights", "--layer", NAME]
    assert main(["check", *arguments]) == 0, capsys.readouterr().out


def test_a_program_is_scored_by_its_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--command", "./port", "--as", LINEAR]) == 2
    assert "focal-parity vectors" in capsys.readouterr().err

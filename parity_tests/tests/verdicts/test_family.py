"""Varifocal, heatmap and asymmetric losses as ports: what is right passes every layer, each
published fault fails in its layer, and what no layer judges is said."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

import focal_jax
import focal_torch
from parity_tests.checker.cli import main
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import check, layers_of
from parity_tests.checker.layers.grades import COMPLETE
from parity_tests.checker.layers.judge import FAIL, PASS
from parity_tests.contract.family_records import FAMILY
from parity_tests.ports.subject import BadPortError

ASYMMETRIC, HEATMAP, VARIFOCAL = "asymmetric_loss", "heatmap_focal_loss", "varifocal_loss"
# Gradients through the modulator are in none of the values.
FORMULA = ("values", "gradients")


def verdicts(
    loss: Callable[..., Any], function: str, layers: Sequence[str], **options: Any
) -> dict[str, str]:
    port = build(Options(loss, function, "torch", **options))
    return {row.layer: row.status for row in check(port, port.plan, layers).rows[1:]}


def clamped(logits: Tensor, targets: Tensor, gamma: Any = 2.0, beta: Any = 4.0) -> Tensor:
    """CenterNet's heatmap: the gradient is 0 beyond a logit of 9.2."""
    p = torch.sigmoid(logits).clamp(1e-4, 1 - 1e-4)
    negative = (1 - targets) ** beta * p**gamma * -torch.log(1 - p)
    return torch.where(targets == 1, (1 - p) ** gamma * -torch.log(p), negative)


def peaks_twice(logits: Tensor, targets: Tensor, gamma: Any = 2.0, beta: Any = 4.0) -> Tensor:
    """mmdet's: for β = 0 a peak has the loss of what is none as well, 0⁰ being 1."""
    exact = focal_torch.heatmap_focal_loss(logits, targets, gamma=gamma, beta=beta)
    if beta:
        return exact
    return exact + (targets == 1) * focal_torch.focal(-logits, gamma)


def held(logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0) -> Tensor:
    """RT-DETR's second port: the modulator is a weight."""
    return focal_torch.varifocal_loss(
        logits, targets, alpha=alpha, gamma=gamma, constant_modulator=True
    )


def log_of_sigmoid(logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0) -> Tensor:
    """LW-DETR's: inf from a logit of 17."""
    p = torch.sigmoid(logits)
    alpha = 1.0 if alpha is None else alpha
    positive = -targets * (targets * torch.log(p) + (1 - targets) * torch.log(1 - p))
    return torch.where(targets > 0, positive, -alpha * p**gamma * torch.log(1 - p))


def unshifted(
    logits: Tensor,
    targets: Tensor,
    gamma_positive: Any = 1.0,
    gamma_negative: Any = 4.0,
    shift: Any = 0.05,
) -> Tensor:
    powers = {"gamma_positive": gamma_positive, "gamma_negative": gamma_negative}
    return focal_torch.asymmetric_loss(logits, targets, **powers, shift=0.0)


def by_positives(
    logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0, reduction: str = "none"
) -> Tensor:
    """mmdet's average factor, which counts the positives."""
    losses = focal_torch.varifocal_loss(logits, targets, alpha=alpha, gamma=gamma)
    if reduction == "mean_positive":
        return losses.sum() / (targets > 0).sum().clamp(min=1)
    return focal_torch.varifocal_loss(
        logits, targets, alpha=alpha, gamma=gamma, reduction=reduction
    )


def textbook(logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0) -> Tensor:
    """A formula of logits, but for the rounding of a cross entropy."""
    alpha = 1.0 if alpha is None else alpha
    entropy = -(targets * logsigmoid(logits) + (1 - targets) * logsigmoid(-logits))
    negative = -alpha * torch.sigmoid(logits) ** gamma * logsigmoid(-logits)
    return torch.where(targets > 0, targets * entropy, negative)


def negated_targets(
    logits: Tensor,
    targets: Tensor,
    gamma_positive: Any = 1.0,
    gamma_negative: Any = 4.0,
    shift: Any = 0.05,
) -> Tensor:
    """Of targets without a sign, 1 becomes 255."""
    powers = {"gamma_positive": gamma_positive, "gamma_negative": gamma_negative}
    loss = focal_torch.asymmetric_loss(logits, targets, **powers, shift=shift)
    sign = -(-targets).sign()
    return torch.where(targets > 0, sign * loss, loss)


@pytest.mark.slow
@pytest.mark.parametrize("function", FAMILY)
def test_a_package_passes_every_layer(function: str) -> None:
    port = build(Options(getattr(focal_torch, function), function, "torch"))
    found = check(port, port.plan)
    for row in found.rows[1:]:
        assert row.status == PASS, row
    assert found.grade == COMPLETE


# JAX compiles a program for each setting: beside values and gradients the losses take turns.
@pytest.mark.slow
@pytest.mark.parametrize(("turn", "function"), list(enumerate(FAMILY)))
def test_the_package_of_jax_passes_layers(turn: int, function: str) -> None:
    port = build(Options(getattr(focal_jax, function), function, "jax"))
    others = [name for name in layers_of(port.plan.record) if name not in FORMULA]
    layers = [*FORMULA, *others[turn :: len(FAMILY)]]
    rows = check(port, port.plan, layers).rows[1:]
    assert {row.layer for row in rows} == {*layers}
    for row in rows:
        assert row.status == PASS, row


@pytest.mark.parametrize(
    ("loss", "function", "settings", "layers"),
    [
        (clamped, HEATMAP, {"alpha": None}, FORMULA),
        (peaks_twice, HEATMAP, {"alpha": None}, FORMULA),
        (held, VARIFOCAL, {}, ("gradients",)),
        (log_of_sigmoid, VARIFOCAL, {}, FORMULA),
        (unshifted, ASYMMETRIC, {"alpha": None}, FORMULA),
        (by_positives, VARIFOCAL, {}, ("options",)),
        (negated_targets, ASYMMETRIC, {"alpha": None}, ("neighbours",)),
    ],
)
def test_published_faults_fail(
    loss: Any, function: str, settings: dict[str, Any], layers: tuple[str, ...]
) -> None:
    found = verdicts(loss, function, (*FORMULA, "options", "neighbours"), fixed=settings)
    assert [name for name in found if found[name] == FAIL] == [*layers]


@pytest.mark.parametrize(
    ("loss", "conventions", "layer"),
    [
        (held, {"modulator": "constant"}, "gradients"),
        (by_positives, {"mean_positive": "positives"}, "options"),
    ],
)
def test_what_is_declared_is_judged_by(loss: Any, conventions: dict[str, str], layer: str) -> None:
    assert verdicts(loss, VARIFOCAL, [layer]) == {layer: FAIL}
    assert verdicts(loss, VARIFOCAL, [layer], conventions=conventions) == {layer: PASS}


def test_a_textbook_formula_is_the_same_loss() -> None:
    """Its rounding keeps it from being exact, and from nothing before."""
    port = build(Options(textbook, VARIFOCAL, "torch"))
    report = check(port, port.plan)
    assert report.grade in ("same", "safe")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"conventions": {"positives": "label"}}, "no layer judges"),
        ({"probabilities": True}, "of probabilities"),
        ({"fixed": {"constant_modulator": 1}}, "true or false"),
        ({"fixed": {"gamma": -1}}, "at least 0"),
    ],
)
def test_what_no_layer_judges_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadPortError, match=says):
        build(Options(focal_torch.varifocal_loss, VARIFOCAL, "torch", **options))


def test_a_point_is_shown_by_its_layer(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["check", f"focal_torch:{VARIFOCAL}", "--at", '{"logits": 1, "targets": 0}']
    assert main(command) == 2
    assert "say --layer" in capsys.readouterr().err

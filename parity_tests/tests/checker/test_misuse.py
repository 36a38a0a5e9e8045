"""Of a port whose formula is right, the option is named that does something else."""

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

import focal_torch
from parity_tests.checker.diagnosis.diagnose import diagnose
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import check
from parity_tests.checker.layers.judge import FAIL


def softmax(logits: Tensor, targets: Tensor, **options: Any) -> Tensor:
    return focal_torch.softmax_focal_loss(logits, targets, axis=-1, **options)


def without_ignoring(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, ignore_index: int = -100
) -> Tensor:
    return softmax(logits, targets, gamma=gamma)


def without_smoothing(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, label_smoothing: float = 0.0
) -> Tensor:
    return softmax(logits, targets, gamma=gamma)


def without_alpha(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, alpha: Tensor | None = None
) -> Tensor:
    return softmax(logits, targets, gamma=gamma)


def without_where(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, where: Tensor | None = None
) -> Tensor:
    return softmax(logits, targets, gamma=gamma)


def without_weight(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, weight: Tensor | None = None
) -> Tensor:
    return softmax(logits, targets, gamma=gamma)


def over_the_batch(logits: Tensor, targets: Tensor, *, gamma: float = 2.0) -> Tensor:
    """log p over the wrong axis, of the right class."""
    log_p = logits.log_softmax(0).gather(-1, targets[:, None])[:, 0]
    modulator = (1 - log_p.exp()) ** gamma
    return -modulator * log_p


def sum_for_mean(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, reduction: str = "mean"
) -> Tensor:
    if reduction == "mean":
        reduction = "sum"
    return softmax(logits, targets, gamma=gamma, reduction=reduction)


@pytest.mark.parametrize(
    ("name", "loss", "layer"),
    [
        ("alpha_ignored", without_alpha, "options"),
        ("ignore_index_ignored", without_ignoring, "options"),
        ("label_smoothing_ignored", without_smoothing, "options"),
        ("mean_nothing", sum_for_mean, "options"),
        ("wrong_axis", over_the_batch, "values"),
        ("weight_ignored", without_weight, "options"),
        ("where_ignored", without_where, "options"),
    ],
)
def test_a_misuse_fails_and_is_named(name: str, loss: Callable[..., Tensor], layer: str) -> None:
    port = build(Options(loss, function="softmax_focal_loss", framework="torch"))
    report = check(port, port.plan, [layer])
    assert [row.status for row in report.rows] == ["PASS", FAIL]
    assert name in {diagnosis.name for diagnosis in diagnose(port, port.plan)}

"""A port whose formula is right, but one of whose options does something else, is told which."""

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
    return -((1 - log_p.exp()) ** gamma) * log_p


def sum_for_mean(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, reduction: str = "mean"
) -> Tensor:
    return softmax(
        logits, targets, gamma=gamma, reduction="sum" if reduction == "mean" else reduction
    )


MISUSES: dict[str, tuple[Callable[..., Tensor], str]] = {
    "alpha_ignored": (without_alpha, "options"),
    "ignore_index_ignored": (without_ignoring, "options"),
    "label_smoothing_ignored": (without_smoothing, "options"),
    "mean_nothing": (sum_for_mean, "options"),
    "mixes_rows": (over_the_batch, "values"),
    "weight_ignored": (without_weight, "options"),
    "where_ignored": (without_where, "options"),
}


@pytest.mark.parametrize("name", MISUSES)
def test_a_misuse_fails_and_is_named(name: str) -> None:
    loss, layer = MISUSES[name]
    port = build(Options(loss, function="softmax_focal_loss", framework="torch"))
    assert [row.status for row in check(port, port.plan, [layer]).rows] == ["PASS", FAIL]
    assert name in {found.name for found in diagnose(port, port.plan)}

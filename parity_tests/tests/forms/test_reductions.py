"""Ports that have one number for a batch, whatever it divides by; and numbers that they are given
to divide by."""

from typing import Any

import pytest
from torch import Tensor

import focal_torch
from parity_tests.checker.diagnosis.diagnose import diagnose
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import Report, check
from parity_tests.ports.subject import BadPortError

SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
LAYERS = ("values", "gradients", "options", "backward")
FIXED = {"alpha": [0.2, 0.3, 0.5]}


def weighted(logits: Tensor, targets: Tensor, alpha: Tensor | None, gamma: float) -> Tensor:
    """The mean of cross entropy in PyTorch: by the sum of the weights."""
    losses = focal_torch.softmax_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    if alpha is None:
        return losses.mean()
    return losses.sum() / alpha[targets].sum()


def plain(logits: Tensor, targets: Tensor, alpha: Tensor | None, gamma: float) -> Tensor:
    return focal_torch.softmax_focal_loss(logits, targets, alpha=alpha, gamma=gamma).mean()


def with_gradient_of(value: Tensor, slope: Tensor) -> Tensor:
    return slope + (value - slope).detach()


def slope_of_sum(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> Tensor:
    losses = focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    return with_gradient_of(losses.mean(), losses.sum())


def masked(
    logits: Tensor, targets: Tensor, alpha: float, gamma: float, ignore_index: int | None = None
) -> Tensor:
    return focal_torch.sigmoid_focal_loss(
        logits, targets, alpha=alpha, gamma=gamma, ignore_index=ignore_index, reduction="mean"
    )


def masked_by_all(
    logits: Tensor, targets: Tensor, alpha: float, gamma: float, ignore_index: int | None = None
) -> Tensor:
    return focal_torch.sigmoid_focal_loss(
        logits, targets, alpha=alpha, gamma=gamma, ignore_index=ignore_index
    ).mean()


def boxes(
    logits: Tensor, targets: Tensor, num_boxes: float, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    losses = focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    return losses.mean(1).sum() / num_boxes


def boxes_of_values(
    logits: Tensor, targets: Tensor, num_boxes: float, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Its gradient is not divided."""
    value = boxes(logits, targets, num_boxes, alpha, gamma)
    return with_gradient_of(value, boxes(logits, targets, 1, alpha, gamma))


def each_by_boxes(
    logits: Tensor, targets: Tensor, num_boxes: float, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    return focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma) / num_boxes


def each_by_root(
    logits: Tensor, targets: Tensor, num_boxes: float, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    return each_by_boxes(logits, targets, num_boxes**0.5, alpha, gamma)


def judged(port: Any, function: str, **settings: Any) -> tuple[Report, list[str]]:
    subject = build(Options(port, function, "torch", **settings))
    report = check(subject, subject.plan, LAYERS)
    names = [] if report.passed else [d.name for d in diagnose(subject, subject.plan)]
    return report, names


def failed(report: Report) -> list[str]:
    return [row.layer for row in report.rows if row.status == "FAIL"]


WEIGHTS = {"conventions": {"mean": "weights"}}
ALL = {"conventions": {"mean": "all"}}
BOXES = {"renamed": {"divisor": "num_boxes"}}


@pytest.mark.parametrize(
    ("port", "function", "settings"),
    [
        (weighted, SOFTMAX, WEIGHTS),
        (weighted, SOFTMAX, WEIGHTS | {"fixed": FIXED}),
        (plain, SOFTMAX, {}),
        (plain, SOFTMAX, {"fixed": FIXED}),
        (masked, SIGMOID, {}),
        (masked_by_all, SIGMOID, ALL),
        (boxes, SIGMOID, BOXES),
        (boxes, SIGMOID, {"extra": {"num_boxes": 1}}),
        (each_by_boxes, SIGMOID, BOXES),
    ],
)
def test_a_right_port_passes(port: Any, function: str, settings: dict[str, Any]) -> None:
    report, _ = judged(port, function, **settings)
    assert failed(report) == []
    assert {row.layer: row.status for row in report.rows}[
        "options"
    ] == "PASS" or "extra" in settings


@pytest.mark.parametrize(
    ("port", "function", "settings", "layers", "named"),
    [
        (weighted, SOFTMAX, {}, ["options", "backward"], "mean_weights"),
        (weighted, SOFTMAX, {"fixed": FIXED}, [*LAYERS], "mean_weights"),
        (plain, SOFTMAX, WEIGHTS, ["options", "backward"], "mean_kept"),
        (slope_of_sum, SIGMOID, {}, ["backward"], ""),
        (masked_by_all, SIGMOID, {}, ["options", "backward"], "mean_all"),
        (boxes_of_values, SIGMOID, BOXES, ["backward"], ""),
        (each_by_root, SIGMOID, BOXES, ["options", "backward"], ""),
    ],
)
def test_a_wrong_one_fails_for_its_reason(
    port: Any, function: str, settings: dict[str, Any], layers: list[str], named: str
) -> None:
    report, names = judged(port, function, **settings)
    assert failed(report) == layers
    assert not named or named in names


def test_an_argument_that_nothing_gives_is_named() -> None:
    with pytest.raises(BadPortError, match=r"asks for num_boxes.* --map divisor=num_boxes"):
        build(Options(boxes, SIGMOID, "torch"))

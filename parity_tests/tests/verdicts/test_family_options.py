"""Losses of the family as people have them: with settings that are fixed, with one number for a
batch, in half precision. What is right passes, and what is wrong with an option is found."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import focal_torch
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import layer
from parity_tests.checker.layers.family.identities import IDENTITIES
from parity_tests.checker.layers.judge import FAIL, NOT_OFFERED, PASS
from parity_tests.contract.family_records import FAMILY

ASYMMETRIC, HEATMAP, VARIFOCAL = "asymmetric_loss", "heatmap_focal_loss", "varifocal_loss"


def statuses(loss: Callable[..., Any], function: str, *layers: str, **options: Any) -> list[str]:
    dtype = options.pop("dtype", "float32")
    port = build(Options(loss, function, "torch", **options), dtype)
    return [layer(port, port.plan, name).status for name in layers]


@pytest.mark.parametrize("fixed", [{"reduction": "mean"}, {"reduction": "mean_positive"}])
@pytest.mark.parametrize("function", FAMILY)
def test_a_reduction_may_be_fixed(function: str, fixed: dict[str, Any]) -> None:
    layers = ("values", "identities", "options", "backward")
    found = statuses(getattr(focal_torch, function), function, *layers, fixed=fixed)
    assert found == [PASS] * len(layers)


@pytest.mark.parametrize("function", FAMILY)
def test_an_ignored_number_may_be_fixed(function: str) -> None:
    loss = getattr(focal_torch, function)
    layers = ("identities", "options", "backward", "dtypes")
    assert statuses(loss, function, *layers, fixed={"ignore_index": -100}) == [PASS] * len(layers)


def over_peaks(logits: Tensor, targets: Tensor) -> Tensor:
    """CornerNet's one number for a batch."""
    losses = focal_torch.heatmap_focal_loss(logits, targets)
    return losses.sum() / (targets == 1).sum().clamp(min=1)


def over_targets(logits: Tensor, targets: Tensor) -> Tensor:
    """YOLO's, of a varifocal loss."""
    losses = focal_torch.varifocal_loss(logits, targets)
    return losses.sum() / targets.sum().clamp(min=1)


ONE_NUMBER: dict[str, tuple[Callable[..., Tensor], dict[str, Any]]] = {
    HEATMAP: (over_peaks, {"alpha": None, "gamma": 2.0, "beta": 4.0}),
    VARIFOCAL: (over_targets, {"alpha": 0.75, "gamma": 2.0}),
}


@pytest.mark.parametrize("function", ONE_NUMBER)
def test_one_number_may_be_a_mean_over_positives(function: str) -> None:
    loss, fixed = ONE_NUMBER[function]
    assert statuses(loss, function, "options", "backward", fixed=fixed) == [PASS, PASS]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("function", FAMILY)
def test_half_precision_is_judged(function: str, dtype: str) -> None:
    layers = ("values", "special values", "options")
    loss = getattr(focal_torch, function)
    assert statuses(loss, function, *layers, dtype=dtype) == [PASS] * len(layers)


def over_weights(
    logits: Tensor,
    targets: Tensor,
    alpha: Any = None,
    gamma: Any = 2.0,
    beta: Any = 4.0,
    reduction: str = "none",
) -> Tensor:
    """With α its mean divides by the weights of the classes."""
    settings = {"alpha": alpha, "gamma": gamma, "beta": beta}
    if reduction == "mean" and alpha is not None:
        losses = focal_torch.heatmap_focal_loss(logits, targets, **settings)
        return losses.sum() / torch.where(targets == 1, alpha, 1 - alpha).sum()
    return focal_torch.heatmap_focal_loss(logits, targets, **settings, reduction=reduction)


def over_own_weights(
    logits: Tensor,
    targets: Tensor,
    alpha: Any = 0.75,
    gamma: Any = 2.0,
    iou_weighted: bool = True,
    reduction: str = "none",
) -> Tensor:
    """Divides by the weights of the positives, which are 1 without their targets."""
    settings = {"alpha": alpha, "gamma": gamma, "iou_weighted": iou_weighted}
    if reduction == "mean_positive" and not iou_weighted:
        losses = focal_torch.varifocal_loss(logits, targets, **settings)
        return losses.sum() / (targets > 0).sum().clamp(min=1)
    return focal_torch.varifocal_loss(logits, targets, **settings, reduction=reduction)


def multiplied_mask(
    logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0, where: Any = None
) -> Tensor:
    """0·NaN where a target is left out that is none."""
    kept = torch.ones_like(logits, dtype=torch.bool) if where is None else where
    logits = torch.where(kept, logits, 0)
    return kept * focal_torch.varifocal_loss(logits, targets, alpha=alpha, gamma=gamma)


def without_background(
    logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0, ignore_index: Any = None
) -> Tensor:
    """With a number to ignore, targets of 0 are ignored, too."""
    settings = {"alpha": alpha, "gamma": gamma}
    if ignore_index is None:
        return focal_torch.varifocal_loss(logits, targets, **settings)
    kept = (targets != ignore_index) & (targets != 0)
    return focal_torch.varifocal_loss(logits, targets, **settings, where=kept)


def counts_what_is_ignored(
    logits: Tensor,
    targets: Tensor,
    alpha: Any = 0.75,
    gamma: Any = 2.0,
    ignore_index: Any = None,
    reduction: str = "none",
) -> Tensor:
    settings = {"alpha": alpha, "gamma": gamma, "ignore_index": ignore_index}
    if reduction == "mean_positive":
        losses = focal_torch.varifocal_loss(logits, targets, **settings)
        return losses.sum() / targets.sum().clamp(min=1)
    return focal_torch.varifocal_loss(logits, targets, **settings, reduction=reduction)


@pytest.mark.parametrize(
    ("loss", "function"),
    [
        (over_weights, HEATMAP),
        (over_own_weights, VARIFOCAL),
        (multiplied_mask, VARIFOCAL),
        (without_background, VARIFOCAL),
        (counts_what_is_ignored, VARIFOCAL),
    ],
)
def test_options_that_are_wrong_in_one_case(loss: Any, function: str) -> None:
    assert statuses(loss, function, "values", "options") == [PASS, FAIL]


@pytest.mark.parametrize(
    ("function", "fixed", "name"),
    [
        (HEATMAP, {"beta": 4.0}, "cross_entropy"),
        (HEATMAP, {"beta": 4.0, "gamma": 1.0}, "swapped_classes"),
        (HEATMAP, {"alpha": 0.25}, "cross_entropy"),
        (ASYMMETRIC, {"alpha": 0.5}, "cross_entropy"),
        (VARIFOCAL, {"gamma": 2.0}, "cross_entropy"),
    ],
)
def test_an_identity_is_asked_where_it_holds(
    function: str, fixed: dict[str, Any], name: str
) -> None:
    port = build(Options(getattr(focal_torch, function), function, "torch", fixed=fixed))
    found = list(IDENTITIES[name](port, port.plan, []))
    assert found
    assert all(finding.error <= finding.allowed for finding in found)


def test_what_has_no_option_is_not_asked_for_one() -> None:
    def alone(logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0) -> Tensor:
        return focal_torch.varifocal_loss(logits, targets, alpha=alpha, gamma=gamma)

    assert statuses(alone, VARIFOCAL, "options") == [NOT_OFFERED]

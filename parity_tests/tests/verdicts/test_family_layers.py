"""Identities of varifocal, heatmap and asymmetric losses: each finds the fault that it is for."""

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

import focal_torch
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import check
from parity_tests.checker.layers.family.identities import IDENTITIES
from parity_tests.checker.layers.judge import FAIL
from parity_tests.contract.family_records import FAMILY

ASYMMETRIC, HEATMAP, VARIFOCAL = "asymmetric_loss", "heatmap_focal_loss", "varifocal_loss"
TWO_CLASSES = "L(z, 1; α) = L(−z, 0; 1 − α)"
BETWEEN = "L(z, y) = y·L(z, 1) + (1 − y)·L(z, 0)"


def logs_to_base_2(logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0) -> Tensor:
    return focal_torch.varifocal_loss(logits, targets, alpha=alpha, gamma=gamma) * 1.442695


def one_over_gamma(logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0) -> Tensor:
    gamma = 1 / gamma if gamma else 0.0
    return focal_torch.varifocal_loss(logits, targets, alpha=alpha, gamma=gamma)


def focused_positives(logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0) -> Any:
    focused = focal_torch.focal(logits, gamma)
    loss = focal_torch.varifocal_loss(logits, targets, alpha=alpha, gamma=gamma)
    return loss + (targets == 1) * (focused - focal_torch.focal(logits, 0.0))


def falling_in_beta(logits: Tensor, targets: Tensor, gamma: Any = 2.0, beta: Any = 4.0) -> Tensor:
    return focal_torch.heatmap_focal_loss(logits, targets, gamma=gamma, beta=1 / (1 + beta))


def alpha_of_the_rest(
    logits: Tensor, targets: Tensor, alpha: Any = None, gamma: Any = 2.0, beta: Any = 4.0
) -> Tensor:
    """Both classes have the weight of the positive one."""
    settings = {"gamma": gamma, "beta": beta}
    loss = focal_torch.heatmap_focal_loss(logits, targets, **settings)
    return loss if alpha is None else alpha * loss


def shifted_up(
    logits: Tensor,
    targets: Tensor,
    gamma_positive: Any = 1.0,
    gamma_negative: Any = 4.0,
    shift: Any = 0.05,
) -> Tensor:
    powers = {"gamma_positive": gamma_positive, "gamma_negative": gamma_negative}
    return focal_torch.asymmetric_loss(logits, targets, **powers, shift=0.5 - shift)


def of_hard_targets(
    logits: Tensor,
    targets: Tensor,
    gamma_positive: Any = 1.0,
    gamma_negative: Any = 4.0,
    shift: Any = 0.05,
) -> Tensor:
    """Whatever is not 1 is a negative."""
    powers = {"gamma_positive": gamma_positive, "gamma_negative": gamma_negative}
    hard = (targets == 1).to(targets.dtype)
    return focal_torch.asymmetric_loss(logits, hard, **powers, shift=shift)


# By the identity that finds it: the loss, what it claims to be, and the sentence.
FAULTS: dict[str, tuple[Callable[..., Tensor], str, str]] = {
    "cross_entropy": (logs_to_base_2, VARIFOCAL, "without a modulating factor a hard target has"),
    "falls_with_power": (one_over_gamma, VARIFOCAL, "costs at most what gamma ="),
    "positives_alike": (focused_positives, VARIFOCAL, "a positive has the same loss with every γ"),
    "swapped_classes": (alpha_of_the_rest, HEATMAP, TWO_CLASSES),
    "falls_with_shift": (shifted_up, ASYMMETRIC, "costs at most what shift ="),
    "between_classes": (of_hard_targets, ASYMMETRIC, BETWEEN),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_identity_finds_its_fault(name: str) -> None:
    loss, function, sentence = FAULTS[name]
    fixed = {} if function == VARIFOCAL or name == "swapped_classes" else {"alpha": None}
    port = build(Options(loss, function, "torch", fixed=fixed))
    found = list(IDENTITIES[name](port, port.plan, []))
    wrong = [finding for finding in found if finding.error > finding.allowed]
    assert sentence in wrong[0].message
    assert check(port, port.plan, ["identities"]).rows[-1].status == FAIL


def test_every_power_is_asked() -> None:
    port = build(Options(falling_in_beta, HEATMAP, "torch", fixed={"alpha": None}))
    found = list(IDENTITIES["falls_with_power"](port, port.plan, []))
    assert {finding.message.split()[0] for finding in found} == {"gamma", "beta"}
    wrong = [finding.message for finding in found if finding.error > finding.allowed]
    assert {message.split()[0] for message in wrong} == {"beta"}


def test_every_identity_has_a_fault_and_a_loss() -> None:
    assert FAULTS.keys() == IDENTITIES.keys()
    assert {name for record in FAMILY.values() for name in record.identities} == FAULTS.keys()

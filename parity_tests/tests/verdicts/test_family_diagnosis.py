"""What is said of a varifocal, heatmap or asymmetric loss that fails: its published fault in plain
words, and nothing of what is right."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

import focal_torch
from parity_tests.checker.diagnosis.diagnose import diagnose
from parity_tests.checker.diagnosis.evidence import Diagnosis
from parity_tests.checker.layers.build import Options, build
from parity_tests.contract.exact import Draws
from parity_tests.contract.family_records import FAMILY

from .test_family import (
    ASYMMETRIC,
    HEATMAP,
    VARIFOCAL,
    clamped,
    held,
    log_of_sigmoid,
    peaks_twice,
    textbook,
    unshifted,
)

NONE = {"alpha": None}
BEYOND = "beyond |logit| 9.2: the sigmoid is clamped at 1e-4"
POWERS = ("gamma", "gamma_positive", "gamma_negative")
OF_FACTOR = "flows through your modulating factor"


def found(loss: Any, function: str, dtype: str = "float32", **options: Any) -> list[Diagnosis]:
    port = build(Options(loss, function, "torch", **options), dtype)
    return list(diagnose(port, port.plan))


def gaussian(logits: Tensor, targets: Tensor, gamma: Any = 2.0, beta: Any = 4.0) -> Tensor:
    """mmdet's, but for the names of its exponents."""
    p = torch.sigmoid(logits)
    positive = (targets == 1) * -torch.log(p + 1e-12) * (1 - p) ** gamma
    return positive + (1 - targets) ** beta * -torch.log(1 - p + 1e-12) * p**gamma


def timm(
    logits: Tensor,
    targets: Tensor,
    gamma_positive: Any = 1.0,
    gamma_negative: Any = 4.0,
    shift: Any = 0.05,
) -> Tensor:
    p = torch.sigmoid(logits)
    q = (1 - p + shift).clamp(max=1)
    log_p, log_q = torch.log(p.clamp(min=1e-8)), torch.log(q.clamp(min=1e-8))
    p_t = p * targets + q * (1 - targets)
    power = gamma_positive * targets + gamma_negative * (1 - targets)
    return -(targets * log_p + (1 - targets) * log_q) * (1 - p_t) ** power


def shifted_textbook(
    logits: Tensor,
    targets: Tensor,
    gamma_positive: Any = 1.0,
    gamma_negative: Any = 4.0,
    shift: Any = 0.05,
) -> Tensor:
    """A formula of logits, but for the rounding of p − shift."""
    p, q = torch.sigmoid(logits), torch.sigmoid(-logits)
    x = (p - shift).clamp(min=0)
    cost = -torch.log1p(-x) if shift else -logsigmoid(-logits)
    positive = q**gamma_positive * -logsigmoid(logits)
    return targets * positive + (1 - targets) * x**gamma_negative * cost


def heatmap_textbook(logits: Tensor, targets: Tensor, gamma: Any = 2.0, beta: Any = 4.0) -> Tensor:
    p, q = torch.sigmoid(logits), torch.sigmoid(-logits)
    negative = (1 - targets) ** beta * p**gamma * -logsigmoid(-logits)
    return torch.where(targets == 1, q**gamma * -logsigmoid(logits), negative)


def cross_entropies(logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0) -> Tensor:
    """Torch's cross entropy loses easy negatives."""
    factor = (1.0 if alpha is None else alpha) * torch.sigmoid(logits) ** gamma
    cost = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return torch.where(targets > 0, targets, factor) * cost


def flowing(logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0) -> Tensor:
    return focal_torch.varifocal_loss(logits, targets, alpha=alpha, gamma=gamma)


def tripled(logits: Tensor, targets: Tensor, gamma: Any = 2.0, beta: Any = 4.0) -> Tensor:
    return 3 * focal_torch.heatmap_focal_loss(logits, targets, gamma=gamma, beta=beta)


def heatmap_held(logits: Tensor, targets: Tensor, gamma: Any = 2.0, beta: Any = 4.0) -> Tensor:
    """No convention of heatmaps has it so."""
    p, q = torch.sigmoid(logits).detach(), torch.sigmoid(-logits).detach()
    negative = (1 - targets) ** beta * p**gamma * -logsigmoid(-logits)
    return torch.where(targets == 1, q**gamma * -logsigmoid(logits), negative)


def guessed(logits: Tensor, targets: Tensor, alpha: Any = 0.75, gamma: Any = 2.0) -> Tensor:
    """No known formula for positives below 1."""
    right = flowing(logits, targets, alpha, gamma)
    is_between = (targets > 0) & (targets < 1)
    return torch.where(is_between, right * (1 + targets * logits.abs()), right)


@pytest.mark.parametrize(
    ("loss", "function", "fixed", "says"),
    [
        (clamped, HEATMAP, NONE, [f"your gradient is 0 {BEYOND}"]),
        (peaks_twice, HEATMAP, NONE, ["for β = 0 your peaks have the loss of the other pixels"]),
        (
            gaussian,
            HEATMAP,
            NONE | {"beta": 4.0},
            ["capped at 27.63", "it has log(p + 1e-12)", "exactly 0 above logit 16.75, target 1"],
        ),
        (held, VARIFOCAL, {}, [f"no gradient {OF_FACTOR}", "--convention modulator=constant"]),
        (heatmap_held, HEATMAP, NONE, [f"no gradient {OF_FACTOR}"]),
        (
            log_of_sigmoid,
            VARIFOCAL,
            {},
            ["your loss is NaN above logit 16.75, target 1", "rounded to 0, as log(1 − p)"],
        ),
        (unshifted, ASYMMETRIC, NONE, ["your shift has no effect"]),
        (
            timm,
            ASYMMETRIC,
            NONE,
            [
                "soft targets interpolate p_t and the exponent",
                "your gradient is NaN at logit −4, target 0",
                "your gradient is 0 below logit −18.5, target 1: it has log(clamp(p, 1e-8))",
            ],
        ),
        (cross_entropies, VARIFOCAL, {}, ["your loss is exactly 0 below logit −14.75, target 0"]),
        (tripled, HEATMAP, NONE, ["your loss is 3 times this one"]),
        (guessed, VARIFOCAL, {}, ["none of the known formulas; it is right for targets of 0, 1"]),
    ],
)
def test_a_fault_is_said(
    loss: Callable[..., Any], function: str, fixed: dict[str, Any], says: list[str]
) -> None:
    text = "\n".join(diagnosis.message for diagnosis in found(loss, function, fixed=fixed))
    assert [part for part in says if part not in text] == []


def test_a_modulator_is_said_to_flow_where_none_is_declared_to() -> None:
    constant = {"modulator": "constant"}
    (diagnosis,) = found(flowing, VARIFOCAL, conventions=constant)
    assert diagnosis.message == f"a gradient {OF_FACTOR}, which you declare to be constant"
    assert found(held, VARIFOCAL, conventions=constant) == []


def test_a_loss_without_gradients_is_clamped_as_well() -> None:
    (diagnosis,) = found(clamped, HEATMAP, fixed=NONE, values_only=True)
    assert diagnosis.message == f"your loss stays what it is {BEYOND}"


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("function", FAMILY)
def test_nothing_is_said_of_what_is_right(function: str, dtype: str) -> None:
    assert found(getattr(focal_torch, function), function, dtype) == []


@pytest.mark.parametrize(
    ("loss", "function"),
    [
        (textbook, VARIFOCAL),
        (heatmap_textbook, HEATMAP),
        (shifted_textbook, ASYMMETRIC),
        (cross_entropies, VARIFOCAL),
    ],
)
def test_nothing_is_said_of_a_textbook_formula_at_ordinary_logits(
    loss: Callable[..., Any], function: str
) -> None:
    """For γ < 1 a power of 0 has an infinite slope, and torch's cross entropy rounds easy
    examples."""
    fixed = NONE if function != VARIFOCAL else {}
    said = {diagnosis.name for diagnosis in found(loss, function, fixed=fixed)}
    assert said <= {"nan_gradient", "cancels"}
    powers = [name for name in POWERS if FAMILY[function].argument(name)]
    whole = fixed | dict.fromkeys(powers, 2.0)
    assert {diagnosis.name for diagnosis in found(loss, function, fixed=whole)} <= {"cancels"}


def test_no_port_is_asked_about_its_options_alone() -> None:
    port = build(Options(clamped, HEATMAP, "torch", fixed=NONE))
    assert diagnose(port, port.plan, ["options", "shapes"]) == ()


def test_an_unsteady_loss_is_called_so() -> None:
    draws = Draws(0)

    def noisy(logits: Tensor, targets: Tensor, gamma: Any = 2.0, beta: Any = 4.0) -> Tensor:
        noise = torch.tensor(draws.uniform(shape=tuple(logits.shape)), dtype=logits.dtype)
        return heatmap_textbook(logits, targets, gamma, beta) * (1 + noise)

    (diagnosis,) = found(noisy, HEATMAP, fixed=NONE)
    assert diagnosis.name == "unsteady"

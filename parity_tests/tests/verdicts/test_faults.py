"""A port with one fault fails in its layer and hears of that fault, and of nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import focal_torch
from parity_tests.checker.diagnosis.diagnose import diagnose
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import check
from parity_tests.checker.layers.judge import FAIL
from parity_tests.lies.lie import Lie, lies
from parity_tests.ports.python import PythonPort

from .faulty_ports import FAULTS
from .faulty_ports.fault import SIGMOID, SOFTMAX, sigmoid
from .test_grades import clamped, dead_far_out, textbook


def port_of(loss: Callable[..., Any], function: str, dtype: str = "float32") -> PythonPort:
    return build(Options(loss, function, "torch"), dtype)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_the_one_thing_that_is_said(name: str) -> None:
    fault = FAULTS[name]
    port = port_of(fault.port, fault.function)
    _, row = check(port, port.plan, [fault.layer]).rows
    assert row.status == FAIL
    assert [diagnosis.name for diagnosis in diagnose(port, port.plan)] == [fault.name]


def messages(name: str, dtype: str = "float32") -> list[str]:
    fault = FAULTS[name]
    port = port_of(fault.port, fault.function, dtype)
    return [diagnosis.message for diagnosis in diagnose(port, port.plan)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "mean_of_all",
            "divides by all elements, those that are left out included; asked was the ",
        ),
        ("mean_of_positives", "your mean divides by the number of positives; asked was the number"),
        ("mean_by_another_number", "your mean divides by 6.5 with no option for a batch of 7"),
        (
            "sum_that_divides",
            "your sum divides by the number of elements; a sum divides by nothing",
        ),
        ("value_without_modulator", "the value is that of cross entropy, without (1 − p_t)^γ"),
        ("gradient_without_modulator", "the gradient that of cross entropy, without (1 − p_t)^γ"),
        ("logarithm_of_p", "your loss is inf above logit 16.75, target 0"),
    ],
)
def test_the_sentence_says_which(name: str, words: str) -> None:
    (message,) = messages(name)
    assert words in message


def test_the_nearest_place_is_named_in_float64() -> None:
    (message,) = messages("logarithm_of_p", "float64")
    assert message.startswith("your loss is inf above logit 36.75, target 0")


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("gamma", [None, 0.0, 0.5, 2.0])
@pytest.mark.parametrize("function", [SIGMOID, SOFTMAX])
def test_of_a_right_port_nothing_is_said(function: str, gamma: float | None, dtype: str) -> None:
    weights = 0.75 if function == SIGMOID else [0.25, 0.5, 2.0]
    fixed = {} if gamma is None else {"gamma": gamma, "alpha": weights}
    loss = getattr(focal_torch, function)
    port = build(Options(loss, function, "torch", fixed=fixed), dtype)
    assert not diagnose(port, port.plan)


@pytest.mark.parametrize("name", ["weighted_p_t", "class_weights_for_gamma"])
@pytest.mark.parametrize("gamma", [None, 1.5])
def test_class_weights_that_are_set_are_explained(name: str, gamma: float | None) -> None:
    fault = FAULTS[name]
    fixed: dict[str, Any] = {"alpha": [0.25, 0.5, 2.0]}
    if gamma is not None:
        fixed["gamma"] = gamma
    port = build(Options(fault.port, fault.function, "torch", fixed=fixed))
    assert [diagnosis.name for diagnosis in diagnose(port, port.plan)] == [fault.name]


def one_mean(logits, targets, *, alpha=0.25, gamma=2.0):
    return sigmoid(logits, targets, alpha, gamma).mean()


def one_sum(logits, targets, *, alpha=0.25, gamma=2.0):
    return sigmoid(logits, targets, alpha, gamma).sum()


@pytest.mark.parametrize("loss", [one_mean, one_sum])
def test_of_one_number_nothing_is_said_where_it_is_a_mean_or_a_sum(loss: Any) -> None:
    port = port_of(loss, SIGMOID)
    assert not diagnose(port, port.plan, ["values", "gradients", "options", "backward"])


def column_of_targets(logits, targets, *, alpha=0.25, gamma=2.0):
    """Its losses are right. It broadcasts, and has a rule of its own for soft targets."""
    one, zero = (sigmoid(logits, torch.full_like(logits, y), alpha, gamma) for y in (1.0, 0.0))
    return targets * one + (1 - targets) * zero


def test_of_layers_that_pass_nothing_is_said() -> None:
    port = port_of(column_of_targets, SIGMOID)
    assert {name for name, _ in diagnose(port, port.plan)} == {"mixture", "broadcast"}
    assert {name for name, _ in diagnose(port, port.plan, ["soft targets"])} == {"mixture"}
    assert {name for name, _ in diagnose(port, port.plan, ["shapes"])} == {"broadcast"}
    assert not diagnose(port, port.plan, ["values", "gradients", "options", "backward"])


def named(name: str) -> Lie:
    (lie,) = [lie for lie in lies() if lie.name == name]
    return lie


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # A gradient that is wrong through an option is no fault of the loss, nor of the option.
        (f"{SIGMOID}: gradient in logits doubled with where", []),
        (f"{SIGMOID}: gradient in logits doubled through mean with weight", []),
        (f"{SIGMOID}: second derivative doubled through mean", []),
        (f"{SIGMOID}: gradient in alpha negated always", []),
        (f"{SIGMOID}: loss 5 % off with where", ["where_changes"]),
        (f"{SIGMOID}: loss doubled through mean with where", ["mean_unknown"]),
        (f"{SOFTMAX}: loss doubled with label_smoothing", ["smoothing_unknown"]),
        (f"{SIGMOID}: loss doubled of class 0", ["unknown"]),
        (f"{SIGMOID}: loss doubled at every call by 5", ["unsteady"]),
        (f"{SOFTMAX}: loss doubled at every call by 3", ["unsteady"]),
        (f"{SIGMOID}: loss doubled always", ["factor"]),
    ],
)
def test_a_lie_has_no_cause_but_its_own(name: str, expected: list[str]) -> None:
    lie = named(name)
    port = port_of(lie.port(), lie.function, lie.dtype)
    assert [diagnosis.name for diagnosis in diagnose(port, port.plan)] == expected


def rule_of_one_power(logits, targets, *, alpha=0.25, gamma=2.0):
    """Not finite for every γ, which no power rule explains."""
    losses = sigmoid(logits, targets, alpha, gamma)
    return losses + 0 * torch.where(logits > 50, logits * torch.inf, logits)


def test_a_cause_is_named_for_that_fault_alone() -> None:
    port = port_of(rule_of_one_power, SIGMOID)
    found = dict(diagnose(port, port.plan))
    assert "power rule" not in found["nan_gradient"]
    port = port_of(textbook, SIGMOID)
    found = dict(diagnose(port, port.plan))
    assert "power rule" in found["nan_gradient"]


def test_a_dead_gradient_is_blamed_on_a_clipped_p_where_the_loss_is_clipped() -> None:
    for loss, is_clipped in ((clamped, True), (dead_far_out, False)):
        port = port_of(loss, SIGMOID)
        found = dict(diagnose(port, port.plan))
        assert ("p is clipped" in found["dead_gradient"]) == is_clipped

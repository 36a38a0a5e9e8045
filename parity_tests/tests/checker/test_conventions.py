"""A port of another convention passes where it declares it, and its convention is named where it
does not."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

import focal_torch
from parity_tests.checker.diagnosis.diagnose import diagnose
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import check
from parity_tests.checker.layers.judge import FAIL, Row
from parity_tests.ports.python import PythonPort

# What each is a choice of.
CONVENTIONS = {
    "negative": "alpha",
    "positive_only": "alpha",
    "both": "alpha",
    "mixture": "soft_targets",
    "margin": "soft_targets",
    "exp_bce": "soft_targets",
    "quality": "soft_targets",
    "FL*": "form",
}


def unweighted(z: Tensor, y: Tensor, gamma: float) -> Tensor:
    return focal_torch.sigmoid_focal_loss(z, y, alpha=None, gamma=gamma)


def modulator(kind: str, z: Tensor, y: Tensor, gamma: float) -> Tensor:
    """The factor of the cross entropy under a convention for soft targets."""
    if kind == "margin":
        return torch.sigmoid(-z * (2 * y - 1)) ** gamma
    if kind == "exp_bce":
        return (1 - torch.exp(-unweighted(z, y, 0.0))) ** gamma
    assert kind == "quality"
    distance = y * torch.sigmoid(-z) - (1 - y) * torch.sigmoid(z)
    return distance.abs() ** gamma


def soft(kind: str, z: Tensor, y: Tensor, gamma: float) -> Tensor:
    if kind == "FL*":
        return -logsigmoid(gamma * (2 * y - 1) * z) / gamma
    exact = unweighted(z, y, gamma)
    if kind not in ("margin", "exp_bce", "quality"):
        return exact
    hard = (y == 0) | (y == 1)
    return torch.where(hard, exact, modulator(kind, z, y, gamma) * unweighted(z, y, 0.0))


def weight(kind: str, y: Tensor, alpha: float) -> Tensor:
    if kind == "negative":
        return y * (1 - alpha) + (1 - y) * alpha
    if kind == "positive_only":
        return y * alpha + (1 - y)
    if kind == "both":
        return torch.full_like(y, alpha)
    return y * alpha + (1 - y) * (1 - alpha)


def loss(kind: str, logits: Tensor, targets: Tensor, alpha: float | None, gamma: float) -> Tensor:
    """Exact but for its convention, in float64 PyTorch from the library's own function."""
    if kind == "mixture":
        return focal_torch.sigmoid_focal_loss(
            logits, targets, alpha=alpha, gamma=gamma, soft_targets="mixture"
        )
    unbalanced = soft(kind, logits, targets, gamma)
    if alpha is None:
        return unbalanced
    return weight(kind, targets, alpha) * unbalanced


def build_port(kind: str, **declared: Any) -> PythonPort:
    port = partial(loss, kind)
    options = Options(port, function="sigmoid_focal_loss", framework="torch", **declared)
    return build(options, "float64")


def rows_of(port: PythonPort) -> dict[str, Row]:
    report = check(port, port.plan, ("values", "soft targets"))
    return {row.layer: row for row in report.rows}


@pytest.mark.parametrize("kind", CONVENTIONS)
def test_a_declared_convention_is_judged_by(kind: str) -> None:
    name = CONVENTIONS[kind]
    fixed = {"beta": 0.0} if kind == "FL*" else {}
    rows = rows_of(build_port(kind, conventions={name: kind}, fixed=fixed))
    assert rows["values"].status != FAIL, rows["values"]
    # The power rule of this port is not finite for the others.
    if name == "alpha" or kind == "mixture":
        assert rows["soft targets"].status != FAIL, rows["soft targets"]


@pytest.mark.parametrize("kind", CONVENTIONS)
def test_a_convention_that_is_not_declared_is_named(kind: str) -> None:
    # The usual form is judged at γ = 0, too, by which FL* divides.
    fixed = {"gamma": 2.0} if kind == "FL*" else {}
    port = build_port(kind, fixed=fixed)
    assert FAIL in {row.status for row in rows_of(port).values()}
    assert kind in {diagnosis.name for diagnosis in diagnose(port, port.plan)}

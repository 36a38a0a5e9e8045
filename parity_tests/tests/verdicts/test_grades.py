"""Each grade is reached by the ports that it is for, and the report says what keeps them from the
next."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

import focal_torch
from parity_tests.checker.cli import main, parser
from parity_tests.checker.layers import grades
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import Report, check
from parity_tests.checker.layers.grades import COMPLETE, EXACT, GRADES, NONE, SAFE, SAME
from parity_tests.checker.layers.judge import FAIL
from parity_tests.checker.report import report as reports

SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"


def weights(targets, alpha):
    return alpha * targets + (1 - alpha) * (1 - targets)


def textbook(logits, targets, *, alpha=0.25, gamma=2.0):
    ce = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return weights(targets, alpha) * (1 - torch.exp(-ce)) ** gamma * ce


def textbook_of_classes(logits, targets, *, gamma=2.0, axis=-1):
    ce = cross_entropy(logits, targets, reduction="none")
    return (1 - torch.exp(-ce)) ** gamma * ce


def by_logarithms(logits, targets, *, alpha=0.25, gamma=2.0):
    u = torch.where(targets == 1, logits, -logits)
    return weights(targets, alpha) * torch.exp(-gamma * softplus(u)) * softplus(-u)


def of_another_alpha(logits, targets, *, alpha=0.25, gamma=2.0):
    return textbook(logits, targets, alpha=1 - alpha, gamma=gamma)


def clamped(logits, targets, *, alpha=0.25, gamma=2.0):
    p = torch.sigmoid(logits).clamp(1e-7, 1 - 1e-7)
    p_t = torch.where(targets == 1, p, 1 - p)
    return weights(targets, alpha) * (1 - p_t) ** gamma * -torch.log(p_t)


def dead_far_out(logits, targets, *, alpha=0.25, gamma=2.0):
    """Its losses are as good, and its gradient is 0 from some logit on."""
    losses = by_logarithms(logits, targets, alpha=alpha, gamma=gamma)
    return torch.where(logits.abs() > 20, losses.detach(), losses)


def always_in_float32(logits, targets, *, alpha=0.25, gamma=2.0):
    z, y = logits.float(), targets.float()
    return focal_torch.sigmoid_focal_loss(z, y, alpha=alpha, gamma=gamma)


def without_options(logits, targets, *, alpha=0.25, gamma=2.0):
    return focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def mean_by_another_number(logits, targets, *, alpha=0.25, gamma=2.0, reduction="none"):
    losses = without_options(logits, targets, alpha=alpha, gamma=gamma)
    if reduction == "mean":
        return losses.sum() / (losses.numel() - 1)
    return losses.sum() if reduction == "sum" else losses


def masks_leak(logits, targets, *, alpha=0.25, gamma=2.0, where=None):
    losses = without_options(logits, targets, alpha=alpha, gamma=gamma)
    return losses if where is None else torch.where(where, losses, 1e-30)


PORTS: dict[Callable[..., Any], tuple[str, str]] = {
    textbook: (SIGMOID, SAME),
    textbook_of_classes: (SOFTMAX, SAME),
    clamped: (SIGMOID, SAME),
    dead_far_out: (SIGMOID, SAME),
    masks_leak: (SIGMOID, SAME),
    by_logarithms: (SIGMOID, SAFE),
    always_in_float32: (SIGMOID, EXACT),
    of_another_alpha: (SIGMOID, NONE),
    mean_by_another_number: (SIGMOID, NONE),
}


def report_of(port: Callable[..., Any], function: str, dtype: str = "float32") -> Report:
    subject = build(Options(port, function, "torch"), dtype)
    return check(subject, subject.plan)


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)
def test_ports_reach_their_grade(port: Callable[..., Any]) -> None:
    function, grade = PORTS[port]
    report = report_of(port, function)
    assert report.grade == grade, report.limit
    assert report.limit is not None
    assert report.limit.reason


@pytest.mark.parametrize("function", [SIGMOID, SOFTMAX])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_package_is_complete(function: str, dtype: str) -> None:
    report = report_of(getattr(focal_torch, function), function, dtype)
    assert report.grade == COMPLETE, report.limit


def test_what_is_not_offered_keeps_from_complete_alone() -> None:
    report = report_of(without_options, SIGMOID)
    assert report.grade == EXACT
    assert report.limit is not None
    assert report.limit.reason == "options: not offered"


def test_grades_are_in_order() -> None:
    assert grades.below(SAME) == NONE
    assert grades.below(COMPLETE) == EXACT
    for low, high in zip(GRADES, list(GRADES)[1:], strict=False):
        assert grades.reaches(high, low)
        assert not grades.reaches(low, high)


@pytest.mark.parametrize("grade", GRADES)
def test_the_command_and_its_explanation_know_every_grade(
    grade: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parser().parse_args(["check", "m:f", "--grade", grade]).grade == grade
    assert main(["explain", SIGMOID]) == 0
    assert f"--grade {grade}: {GRADES[grade]}" in " ".join(capsys.readouterr().out.split())


def test_a_layer_beyond_the_grade_is_no_failure_of_junit() -> None:
    report = report_of(by_logarithms, SIGMOID)
    assert any(row.status == FAIL for row in report.rows)
    assert 'failures="0"' in reports.junit([report], "", SAFE)
    assert 'failures="0"' not in reports.junit([report], "", EXACT)
    assert 'failures="0"' not in reports.junit([report], "", None)
    assert reports.badge([report], SAFE)["color"] == "brightgreen"
    assert reports.badge([report], SAFE)["message"].startswith("grade safe, ")
    assert reports.badge([report], EXACT)["color"] == "red"


def test_the_exit_code_is_that_of_the_grade(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = f"{__name__}:by_logarithms"
    command = ["check", port, "--as", SIGMOID, "--framework", "torch"]
    path = tmp_path / "report.json"
    assert main([*command, "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert (report["passed"], report["grade"], report["asked"]) == (True, SAFE, SAFE)
    assert report["kept from the next grade by"] in " ".join(capsys.readouterr().out.split())
    assert main([*command, "--grade", "exact"]) == 1
    assert "grade safe, asked for is exact" in " ".join(capsys.readouterr().out.split())
    # Of single layers there is no grade.
    assert main([*command, "--layer", "values"]) == 1
    assert main([*command, "--layer", "values", "--grade", "safe"]) == 2

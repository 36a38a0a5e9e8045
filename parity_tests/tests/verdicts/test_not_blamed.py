"""What a port is not blamed for, and what it is asked about alone."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from parity_tests.checker.cli import main
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import check
from parity_tests.checker.layers.judge import FAIL, NOT_OFFERED, PASS
from parity_tests.contract.records import RECORDS
from parity_tests.ports.contain import refusal
from parity_tests.ports.subject import BadPortError, UnsupportedError

from .faulty_ports.fault import SIGMOID, divided, sigmoid

Capture = pytest.CaptureFixture[str]


class WithoutHalf(torch.autograd.Function):
    """A derivative by an operation that PyTorch does not have for half precision."""

    @staticmethod
    def forward(ctx: Any, losses: Tensor) -> Tensor:
        return losses.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (grad,) = grads
        return grad * torch.linalg.det(torch.eye(2, dtype=grad.dtype))


def without_half(logits, targets, *, alpha=0.25, gamma=2.0):
    return WithoutHalf.apply(sigmoid(logits, targets, alpha, gamma))


def never_in_half(logits, targets, *, alpha=0.25, gamma=2.0):
    return sigmoid(logits, targets, alpha, gamma) * torch.linalg.det(torch.eye(2).to(logits))


def of_one_dtype(logits, targets, *, alpha=0.25, gamma=2.0):
    """Its own error, which is its own fault where the dtype is the one that is asked for."""
    if logits.requires_grad:
        raise TypeError("expected float32")
    return sigmoid(logits, targets, alpha, gamma)


def status(loss: Any, dtype: str, layer: str) -> str:
    port = build(Options(loss, SIGMOID, "torch"), dtype)
    return check(port, port.plan, [layer]).rows[1].status


def test_what_the_framework_lacks_is_not_offered() -> None:
    assert status(without_half, "bfloat16", "values") == PASS
    assert status(without_half, "bfloat16", "gradients") == NOT_OFFERED
    assert status(without_half, "float32", "gradients") == PASS
    assert status(of_one_dtype, "bfloat16", "gradients") == FAIL
    with pytest.raises(BadPortError, match="cannot be checked in float16: the framework has no"):
        build(Options(never_in_half, SIGMOID, "torch"), "float16")


@pytest.mark.parametrize(
    ("text", "is_known"),
    [
        ("Could not find device for node: {{node Lgamma}} = Lgamma[T=DT_BFLOAT16]", True),
        ("Value for attr 'T' of half is not in the list of allowed values: float, double", True),
        ("\"lu_cpu\" not implemented for 'Half'", True),
        ("Value for attr 'T' of double is not in the list of allowed values: half, float", False),
        ("cannot compute Mul as input #1 was expected to be a half tensor but is a float", False),
        ("\"lu_cpu\" not implemented for 'Int'", False),
    ],
)
def test_the_errors_of_frameworks_are_known(text: str, is_known: bool) -> None:
    assert isinstance(refusal(RuntimeError(text)), UnsupportedError) == is_known


def wrong_sum(logits, targets, *, alpha=0.25, gamma=2.0, reduction="mean"):
    """Only its mean is right."""
    losses = sigmoid(logits, targets, alpha, gamma)
    divisor = losses.numel()
    return divided(losses if reduction == "mean" else 2 * losses, divisor, reduction)


def mean_alone(logits, targets, *, alpha=0.25, gamma=2.0, reduction="mean"):
    if reduction != "mean":
        raise ValueError("there is no other reduction")
    return sigmoid(logits, targets, alpha, gamma).mean()


def mean_by_positives(logits, targets, *, alpha=0.25, gamma=2.0, reduction="mean"):
    losses = sigmoid(logits, targets, alpha, gamma)
    return divided(losses, targets.sum().clamp_min(1), reduction)


@pytest.mark.parametrize(
    ("loss", "reduction", "expected"),
    [
        (wrong_sum, "mean", PASS),
        (wrong_sum, "sum", FAIL),
        (mean_alone, "mean", PASS),
        (mean_by_positives, "mean", FAIL),
        (mean_by_positives, "sum", PASS),
        (mean_by_positives, None, NOT_OFFERED),
    ],
)
def test_a_reduction_that_is_set_is_the_one_that_is_judged(
    loss: Any, reduction: str | None, expected: str
) -> None:
    options = Options(loss, SIGMOID, "torch", fixed={"reduction": reduction})
    port = build(options)
    rows = check(port, port.plan, ["values", "options", "backward"]).rows
    assert rows[1].status == (FAIL if (loss, reduction) == (wrong_sum, "sum") else PASS)
    assert rows[2].status == expected


def test_a_reduction_that_nobody_has_is_no_setting() -> None:
    with pytest.raises(BadPortError, match="one of none, sum, mean, mean_positive"):
        build(Options(wrong_sum, SIGMOID, "torch", fixed={"reduction": "average"}))


@pytest.mark.parametrize("width", ["80", "200"])
def test_the_list_has_whole_names(
    width: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    assert main(["list"]) == 0
    words = capsys.readouterr().out.replace(",", " ").split()
    for record in RECORDS.values():
        assert record.name in words
        assert {argument.name for argument in record.arguments} <= {*words}
    assert not any("…" in word for word in words)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_the_line_of_a_dtype_shows_its_numbers_again(
    dtype: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "report.json"
    port = "parity_tests.tests.verdicts.test_grades:textbook"
    command = ["check", port, "--as", SIGMOID, "--framework", "torch", "--dtype", dtype]
    assert main([*command, "--layer", "values", "--json", str(path)]) == 1
    row = json.loads(path.read_text())["rows"][1]
    assert f"--dtype {dtype} --at " in row["reproduce"]
    capsys.readouterr()
    _, *arguments = shlex.split(row["reproduce"])
    assert main(arguments) == 1
    shown = capsys.readouterr().out
    assert f" {row['got']} " in shown
    assert row["truth"] in shown

"""ONNX files as ports: their values, their outputs, and what is said where they cannot be run."""

import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from parity_tests.checker.cli import main

Capture = pytest.CaptureFixture[str]
RIGHT = ("--as", "sigmoid_focal_loss", "--set", "alpha=none")
# (1 − p_t)^γ·BCE of the margin u as exp(−γ·softplus(u))·softplus(−u), and its derivative in u.
LOSS = (
    ("Sub", ("target", "half"), "y"),
    ("Sign", ("y",), "sign"),
    ("Mul", ("sign", "logits.1"), "u"),
    ("Neg", ("u",), "minus_u"),
    ("Softplus", ("u",), "s_u"),
    ("Softplus", ("minus_u",), "s"),
    ("Mul", ("power", "s_u"), "exponent"),
    ("Neg", ("exponent",), "minus_exponent"),
    ("Exp", ("minus_exponent",), "factor"),
    ("Mul", ("factor", "s"), "loss"),
)
SLOPE = (
    # onnxruntime's Sigmoid is a rational approximation, with an error of 1e-7 everywhere.
    ("Neg", ("s",), "log_p"),
    ("Neg", ("s_u",), "log_q"),
    ("Exp", ("log_p",), "p"),
    ("Exp", ("log_q",), "q"),
    ("Mul", ("p", "s"), "ps"),
    ("Mul", ("power", "ps"), "gps"),
    ("Add", ("gps", "q"), "slope_of_log"),
    ("Mul", ("factor", "slope_of_log"), "minus_slope"),
    ("Neg", ("minus_slope",), "slope_in_u"),
    ("Mul", ("sign", "slope_in_u"), "slope"),
)


def write(path: Path, axes: tuple[str, ...] = ("n",), half: float = 0.5) -> str:
    """The loss and its gradient; targets of at least `half` are positive."""
    nodes = [helper.make_node(kind, inputs, [name]) for kind, inputs, name in (*LOSS, *SLOPE)]
    kind = TensorProto.FLOAT
    inputs = [helper.make_tensor_value_info(name, kind, axes) for name in ("logits.1", "target")]
    inputs.append(helper.make_tensor_value_info("power", kind, ()))
    outputs = [helper.make_tensor_value_info(name, kind, axes) for name in ("loss", "slope")]
    constant = helper.make_tensor("half", kind, (), [half])
    graph = helper.make_graph(nodes, "focal", inputs, outputs, [constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return str(path)


def check(path: str, *options: str) -> int:
    names = ("--map", "logits=logits_1", "--map", "gamma=power")
    return main(["check", path, *RIGHT, *names, *options])


@pytest.mark.parametrize("axes", [("n",), ("n", "c"), ("n", "c", "h", "w")])
def test_a_right_model_is_safe(axes: tuple[str, ...], tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path / "focal.onnx", axes)
    report = tmp_path / "report.json"
    assert check(path, "--gradient", "slope", "--json", str(report)) == 0
    out = capsys.readouterr().out
    assert "grade safe" in out or "grade exact" in out
    assert '"onnxruntime"' in report.read_text()


def test_values_alone_are_judged_without_a_gradient(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path / "focal.onnx")
    assert check(path, "--result", "loss", "--layer", "gradients") == 0
    assert "not offered" in capsys.readouterr().out


@pytest.mark.parametrize("half", [2.0, -2.0])
def test_a_wrong_model_fails(half: float, tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path / "focal.onnx", half=half)
    assert check(path, "--gradient", "slope", "--layer", "values", "--layer", "gradients") == 1
    assert "FAIL" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "returns a dict of loss, slope: say which is the loss, --result loss"),
        (("--gradient", "bend"), "no output 'bend' for --gradient; it has loss, slope"),
        (("--map", "gamma=exponent"), "has no argument 'exponent'; it has logits_1, target"),
    ],
)
def test_what_cannot_be_judged_is_one_line(
    options: tuple[str, ...], message: str, tmp_path: Path, capsys: Capture
) -> None:
    path = write(tmp_path / "focal.onnx")
    assert check(path, *options) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_file_that_is_no_model_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    assert check(str(tmp_path / "text.onnx")) == 2
    assert check(str(tmp_path / "none.onnx")) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "cannot load" in first
    assert "there is no file" in second


def test_without_onnxruntime_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert check(write(tmp_path / "focal.onnx")) == 2
    assert "pip install onnxruntime" in capsys.readouterr().err

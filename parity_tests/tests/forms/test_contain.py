"""What a port does beside answering: it prints, and it ends the process."""

import os
import signal
import sys
import time
from typing import NoReturn

import pytest
from torch import Tensor

import focal_torch
from parity_tests.checker.cli import main
from parity_tests.ports import contain

Capture = pytest.CaptureFixture[str]
HERE = "parity_tests.tests.forms.test_contain"
COMMAND = ("--as", "sigmoid_focal_loss", "--framework", "torch", "--layer", "values")


def loss(logits: Tensor, targets: Tensor, alpha: float | None, gamma: float) -> Tensor:
    return focal_torch.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def prints(logits: Tensor, targets: Tensor, alpha: float | None, gamma: float) -> Tensor:
    print("a line of the port")
    return loss(logits, targets, alpha, gamma)


def exits(logits: Tensor, targets: Tensor, alpha: float | None, gamma: float) -> Tensor:
    if gamma == 0:
        sys.exit(0)
    return loss(logits, targets, alpha, gamma)


def exits_at_once(logits: Tensor, targets: Tensor, alpha: float | None, gamma: float) -> Tensor:
    if gamma == 0:
        os._exit(0)
    return loss(logits, targets, alpha, gamma)


def waits(logits: Tensor, targets: Tensor, alpha: float | None, gamma: float) -> Tensor:
    while gamma == 0:
        time.sleep(1)
    return loss(logits, targets, alpha, gamma)


def test_an_answer_that_does_not_come_is_one_line(capsys: Capture) -> None:
    assert main(["check", f"{HERE}:waits", *COMMAND, "--time-limit", "0.5"]) == 2
    err = capsys.readouterr().err
    assert "an answer of the port took longer than 0.5 s: raise --time-limit" in err


def test_other_answers_are_within_the_limit(capsys: Capture) -> None:
    assert main(["check", f"{HERE}:loss", *COMMAND, "--time-limit", "60"]) == 0
    assert "PASS" in capsys.readouterr().out
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_what_a_port_prints_is_not_in_the_report(capsys: Capture) -> None:
    assert main(["check", f"{HERE}:prints", *COMMAND]) == 0
    out, err = capsys.readouterr()
    assert "line of the port" not in out
    assert "PASS" in out
    # Of thousands of lines a few are shown, if no port before this one has printed.
    assert err.count("a line of the port\n") <= 5


@pytest.mark.parametrize(
    ("port", "message"),
    [("exits", "SystemExit: 0"), ("exits_at_once", "SystemExit: os._exit(0)")],
)
def test_a_port_that_ends_the_process_fails(port: str, message: str, capsys: Capture) -> None:
    assert main(["check", f"{HERE}:{port}", *COMMAND]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert f"values: raised {message}, which ends the process" in out


def test_a_process_of_the_port_may_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []

    def end(code: int) -> NoReturn:
        ended.append(code)
        raise KeyboardInterrupt

    monkeypatch.setattr(contain, "_end_process", end)

    def port() -> None:
        with contain.contained():
            monkeypatch.setattr(os, "getpid", lambda: 1)
            os._exit(3)

    with pytest.raises(KeyboardInterrupt):
        port()
    assert ended == [3]

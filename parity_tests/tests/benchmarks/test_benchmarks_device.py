"""The benchmark on an accelerator: all of its code on the CPU, and the thing itself where there is
a device."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import accelerator, device_parity, machine
from benchmarks.bandwidth import ideal_bytes, sheets
from benchmarks.cases import BACKWARD, DETECTOR, FLOAT32, FORWARD, LANGUAGE_MODEL, Case, Group
from benchmarks.peers import CONTENDERS
from benchmarks.work import Work
from parity_tests.pages.make_readme import ROOT


def on_a_device(module: str, *arguments: str) -> str:
    """What a benchmark prints in a process of its own: the tests keep JAX on the CPU."""
    env = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    if done.stdout.strip() == accelerator.NOTHING:
        pytest.skip(accelerator.NOTHING)
    return done.stdout


@pytest.mark.gpu
def test_on_a_device(tmp_path: Path) -> None:
    printed = on_a_device("accelerator", "--quick", "--out", str(tmp_path))
    assert "of the copy" in printed
    rounds = pd.read_csv(tmp_path / "accelerator_rounds.csv")
    assert (rounds["seconds"].to_numpy() > 0).all()


@pytest.mark.gpu
def test_parity_on_a_device() -> None:
    assert " eps" in on_a_device("device_parity", "--seconds", "60")


def test_parity_on_the_cpu_in_place_of_a_device(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "use_all_cores", lambda: None)
    assert device_parity.main(["--seconds", "0", "--device", "cpu"]) == 0
    results = capsys.readouterr().out.splitlines()[2:]
    assert [line.split(":")[0] for line in results] == ["jax", "torch"]


def test_parity_on_a_device_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a factor of 1 + 100 eps, which no tolerance of the first problem allows."""
    right = device_parity.OnDevice.numpy
    factor = 1 + 100 * np.finfo(np.float32).eps
    monkeypatch.setattr(machine, "use_all_cores", lambda: None)
    monkeypatch.setattr(device_parity.OnDevice, "numpy", lambda self, x: right(self, x) * factor)
    with pytest.raises(AssertionError, match="eps"):
        device_parity.main(["--seconds", "0", "--device", "cpu"])


def test_without_a_device_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(accelerator, "FILES", ())
    assert accelerator.main([]) == 0
    assert capsys.readouterr() == (f"{accelerator.NOTHING}\n", "")


def test_the_cpu_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "use_all_cores", lambda: None)
    on_cpu = ["--device", "cpu"]
    some = ["--only", "focal_.*(jit|eager)|optax"]
    to_a_page = ["--markdown", "--out", str(tmp_path)]
    assert accelerator.main([*on_cpu, "--quick", *some, *to_a_page]) == 0
    out = capsys.readouterr().out
    assert out.count("### ") == 6
    assert "| JAX copy, jit |" in out
    assert "| focal_torch, eager, float targets |" in out
    assert "kornia, eager" not in out
    rounds = pd.read_csv(tmp_path / "accelerator_rounds.csv")
    assert set(rounds["mode"]) == {FORWARD, BACKWARD}
    assert accelerator.main([*on_cpu, "--only", "no such contender"]) == 2


def test_events_of_the_device_are_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA's milliseconds between two events, here of a device whose every call takes 2 ms."""
    calls: list[int] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing
            self.at = -1

        def record(self) -> None:
            self.at = len(calls)

        def synchronize(self) -> None:
            assert self.at >= 0

        def elapsed_time(self, end: "Event") -> float:
            return 2.0 * (end.at - self.at)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    work = Work("two milliseconds", lambda: calls.append(1), clock=accelerator.cuda_events)
    assert work.time(5) == pytest.approx(0.002)
    assert len(calls) == 5


def test_a_found_device_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "some device")
    monkeypatch.setattr(accelerator, "FILES", ("null",))
    monkeypatch.setattr(accelerator.jax, "default_backend", lambda: "tpu")
    devices = accelerator.devices("auto")
    assert devices["torch"].name == "some device"
    assert devices["torch"].clock == accelerator.cuda_events
    assert devices["jax"].clock is accelerator.enqueued


def test_bandwidth_is_in_units_of_the_copy() -> None:
    """Two arrays read and one written, in three times what a copy of one takes: half of its
    bandwidth."""
    group = Group(DETECTOR, BACKWARD, FLOAT32)
    rows: list[tuple[int, str, float]] = []
    for i in (1, 2, 3):
        rows.append((i, "JAX copy, jit", i * 1e-3))
        rows.append((i, "optax, jit", i * 3e-3))
    times = pd.DataFrame(rows, columns=pd.Index(["round", "contender", "seconds"]))
    times = times.assign(case=group.case.name, mode=group.mode, dtype=group.dtype)
    [sheet] = sheets(times, [group])
    assert [row[0] for row in sheet.rows] == ["optax, jit", "JAX copy, jit"]
    assert [row[3] for row in sheet.rows] == ["50%", "100%"]


@pytest.mark.parametrize(
    ("case", "label", "mode", "bytes_per_logit"),
    [
        (DETECTOR, "focal_jax, jit", FORWARD, 8),
        (DETECTOR, "focal_jax, jit, bool targets", FORWARD, 5),
        (DETECTOR, "focal_jax, jit, bool targets", BACKWARD, 9),
        (DETECTOR, "focal_torch, eager, float targets", BACKWARD, 12),
        (DETECTOR, "PyTorch triad, eager", FORWARD, 12),
        (LANGUAGE_MODEL, "PyTorch CE, compiled", BACKWARD, 8),
    ],
)
def test_what_has_to_move(case: Case, label: str, mode: str, bytes_per_logit: int) -> None:
    contender = next(c for c in CONTENDERS[case.loss] if c.label == label)
    moved = ideal_bytes(contender, Group(case, mode, FLOAT32))
    assert moved == pytest.approx(bytes_per_logit * case.elements, rel=1e-3)

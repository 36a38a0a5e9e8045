"""A sample of the layers with the smallest instruction set; `make instruction-sets` has all."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from . import instruction_sets
from .instruction_sets import ROOT, Verdict, environment, judge, read

SAMPLE = (
    "parity_tests/tests/layers/test_2_values.py::test_published_numbers",
    "parity_tests/tests/layers/test_2_values.py::test_a_gamma_that_float32_does_not_hold",
    "parity_tests/tests/layers/test_4_special.py::test_all_types_of_labels",
    "parity_tests/tests/layers/test_2_values.py::test_reductions",
    "parity_tests/tests/layers/test_4_special.py::test_class_axis_first_or_last",
)
# Products that are added are rounded once where there is an FMA, and twice elsewhere.
BITS = """
import hashlib, json
import jax, numpy as np, torch
from parity_tests.tests.contract.exact_calls import extensions

x = np.arange(1, 10001, dtype=np.float32) / 997
y = np.asarray(jax.jit(lambda x: x * 1.1 + 0.3)(x))
capability = torch.backends.cpu.get_cpu_capability()
print(json.dumps([hashlib.sha256(y.tobytes()).hexdigest(), capability, extensions()]))
"""


def test_a_sample_of_the_layers_with_the_smallest_set() -> None:
    verdict = judge("SSE4_2", "default", SAMPLE, 300)
    assert verdict.green, verdict
    assert verdict.passed > 30


def run(program: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=200)


def bits(xla: str, aten: str) -> tuple[str, str, list[str]]:
    done = run(BITS, environment(xla, aten))
    assert done.returncode == 0, done.stderr
    return tuple(json.loads(done.stdout))


@pytest.mark.slow
def test_the_frameworks_do_with_less_when_they_are_told_to() -> None:
    small, capability, left = bits("SSE4_2", "default")
    assert capability == "DEFAULT"
    assert left == []
    own, capability, _ = bits("", "")
    assert (own != small) == capability.startswith("AVX"), "an FMA rounds once"


@pytest.mark.slow
def test_what_is_wrong_is_red(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = tmp_path / "test_wrong.py"
    test.write_text("def test_right(): pass\ndef test_wrong(): assert 1 > 2\n")
    code = instruction_sets.main(["--set", "SSE4_2", str(test)])
    out = capsys.readouterr().out
    assert code == 1
    assert "red" in out
    assert "test_wrong" in out
    test.write_text("def test_right(): pass\n")
    assert instruction_sets.main(["--set", "own", str(test)]) == 0
    assert "green" in capsys.readouterr().out


# What a test file holds, the seconds that it has, and the words of its verdict.
SILENT = {
    "hangs": ("import time\ntime.sleep(600)\n", 5, "no end within 5 s"),
    "empty": ("def no_test(): pass\n", 300, "pytest ended with 5"),
    "broken": ("not Python\n", 300, "pytest ended with 2"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("text", "seconds", "words"), SILENT.values(), ids=SILENT)
def test_what_has_no_answer_is_red(text: str, seconds: float, words: str, tmp_path: Path) -> None:
    test = tmp_path / "test_nothing.py"
    test.write_text(text)
    verdict = judge("", "", (str(test),), seconds)
    assert not verdict.green
    assert verdict.words == words


def test_flags_that_somebody_has_set_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    flags = environment("AVX", "default")["XLA_FLAGS"].split()
    assert flags == ["--xla_cpu_enable_fast_math=false", "--xla_cpu_max_isa=AVX"]
    assert environment("", "")["XLA_FLAGS"] == os.environ["XLA_FLAGS"]


def test_a_row_is_red_where_nothing_passed() -> None:
    assert not Verdict("AVX", "default", 0, 0, (), 1.0, "").green
    assert not Verdict("AVX", "default", 1, 0, (), 1.0, "pytest ended with 1").green
    assert Verdict("AVX", "default", 1, 0, (), 1.0, "").green


FLOAT16 = """
import jax.numpy as jnp
print(jnp.ones(3, jnp.float32).astype(jnp.float16).astype(jnp.float32) + 1)
"""


X86 = platform.machine().startswith(("x86", "AMD"))


@pytest.mark.skipif(not X86, reason="a flag for x86 alone")
@pytest.mark.parametrize("xla", ["SSE4_2", "AVX"])
def test_xla_has_float16_where_there_is_f16c(xla: str) -> None:
    """Once XLA has it everywhere, WITHOUT_FLOAT16 is to go."""
    done = run(FLOAT16, environment(xla, "default"))
    refused = done.returncode != 0
    assert refused == (xla in instruction_sets.WITHOUT_FLOAT16)
    assert refused == (instruction_sets.REFUSAL in done.stderr)
    assert refused == bool(re.search("__extendhfsf2|__truncsfhf2", done.stderr))


ERROR = f"jax.errors.JaxRuntimeError: INTERNAL: {instruction_sets.REFUSAL}: {{ x }}"
LINE = f"/a/lax_numpy.py:1: {ERROR}"


@pytest.mark.parametrize(
    ("xla", "name", "line", "green"),
    [
        ("SSE4_2", "0-float16-jax", LINE, True),
        ("SSE4_2", "float16", LINE, True),
        ("AVX", "float16-jax", LINE, False),
        ("SSE4_2", "bfloat16-jax", LINE, False),
        ("SSE4_2", "float32-jax", LINE, False),
        ("SSE4_2", "float16-jax", "/a/test_4.py:1: AssertionError", False),
    ],
    ids=["refused", "all", "AVX", "bfloat16", "float32", "wrong"],
)
def test_only_what_xla_refuses_is_no_failure(xla: str, name: str, line: str, green: bool) -> None:
    text = f"{line}\nFAILED test_4.py::test_x[{name}] - jax\n1 failed, 3 passed in 2.0s\n"
    assert read(xla, "default", text, "pytest ended with 1", 2.0).green == green

"""The ports that docs/porting.md tells people to write are right, and each of its rules is
needed."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from parity_tests.checker.cli import main
from parity_tests.checker.layers.check import LAYERS
from parity_tests.pages import page_code
from parity_tests.pages.make_readme import README

PAGE = README.parent / "docs" / "porting.md"
CODE = [code for code, _ in page_code.blocks(PAGE)]
FILES = {"my_focal": CODE[0], "tf_focal": CODE[1]}
NUMPY = ("--framework", "numpy", "--gradient", "my_focal:focal_gradient", "--set", "alpha=none")
TENSORFLOW = ("--framework", "tensorflow", "--set", "alpha=none")

EVERY_LAYER = tuple(word for name in LAYERS for word in ("--layer", name))

Check = Callable[..., int]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """The command of the page, in a folder with one of its files."""

    def run(name: str, code: str, *options: str) -> int:
        # Not a grade: every layer has to pass.
        if "--xfails" not in options:
            options += EVERY_LAYER
        (tmp_path / f"{name}.py").write_text(code)
        return main(["check", f"{name}:focal", "--as", "sigmoid_focal_loss", *options])

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield run
    for name in FILES:
        sys.modules.pop(name, None)


def test_the_page_says_the_command() -> None:
    text = re.sub(r"\s*\\\n\s*", " ", PAGE.read_text())
    assert f"focal-parity check my_focal:focal --as sigmoid_focal_loss {' '.join(NUMPY)}" in text


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_port_in_numpy(check: Check, dtype: str) -> None:
    assert check("my_focal", FILES["my_focal"], *NUMPY, "--dtype", dtype) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_port_in_tensorflow(check: Check, dtype: str) -> None:
    """As the page says, all but second derivatives. The list is strict: a layer that passes must
    not be on it."""
    Path("known.txt").write_text("second order  # the power rule\n")
    options = (*TENSORFLOW, "--dtype", dtype, "--xfails", "known.txt")
    assert check("tf_focal", FILES["tf_focal"], *options) == 0


class Rule(NamedTuple):
    """Code of the page, code that breaks its rule, and what the command then says."""

    right: str
    wrong: str
    message: str


RULES = {
    "q is no difference": Rule(
        "np.where(u < 0, 1, tail) / (1 + tail)",
        "1 - np.where(u < 0, tail, 1) / (1 + tail)",
        "your (1 − p_t) cancels above logit",
    ),
    "s is no logarithm of p": Rule(
        "np.maximum(-u, 0) + np.log1p(tail)",
        "-np.log(np.where(u < 0, tail, 1) / (1 + tail))",
        "your loss is inf below logit",
    ),
    "the derivative has no power of γ − 1": Rule(
        "q**gamma * (gamma * ps + q)",
        "(gamma * q ** (gamma - 1) * q * ps + q ** (gamma + 1))",
        "the power rule needs (1 − p_t)^(γ − 1)",
    ),
    "half precision is computed in float32": Rule(
        "np.result_type(logits, np.float32)",
        "logits.dtype",
        "dtype = bfloat16 focal-parity check",
    ),
    "shapes are not broadcast": Rule(
        "logits.shape != targets.shape or", "", "are broadcast to (N, N)"
    ),
    "0·∞ is 0": Rule(
        "np.where(p == 0, 0, p * s)", "p * s", "an infinite logit on the wrong side costs inf"
    ),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_each_rule_is_needed(check: Check, capsys: pytest.CaptureFixture[str], rule: Rule) -> None:
    code = FILES["my_focal"]
    assert rule.right in code
    silent = code.replace("import numpy as np", "import numpy as np\nnp.seterr(all='ignore')")
    assert check("my_focal", silent.replace(rule.right, rule.wrong), *NUMPY) == 1
    assert rule.message in " ".join(capsys.readouterr().out.split())

"""The two quick starts: the README's first screen, whole programs that learn and import nothing of
the examples."""

import ast
import re
import runpy
from pathlib import Path

import jax
import pytest

from parity_tests.pages import page_code
from parity_tests.tests import ROOT

FRAMEWORKS = ["jax", "torch"]


def path_of(framework: str) -> Path:
    return ROOT / "examples" / f"quickstart_{framework}.py"


@pytest.mark.parametrize(("place", "framework"), list(enumerate(FRAMEWORKS)))
def test_it_begins_as_the_readme_does(place: int, framework: str) -> None:
    code, _ = page_code.blocks(ROOT / "README.md")[place]
    lines = path_of(framework).read_text().splitlines()
    assert [line for line in code.splitlines() if line not in lines] == []
    assert len(lines) <= 26


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_can_be_copied(framework: str) -> None:
    tree = ast.parse(path_of(framework).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            statement = ast.unparse(node)
            assert "examples" not in statement
            assert "parity_tests" not in statement


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_learns(framework: str, capsys: pytest.CaptureFixture[str]) -> None:
    with jax.numpy_dtype_promotion("standard"):
        runpy.run_path(str(path_of(framework)))
    losses = [float(x) for x in re.findall(r"loss (\S+)", capsys.readouterr().out)]
    assert len(losses) == 4
    assert losses[-1] < losses[0] / 2

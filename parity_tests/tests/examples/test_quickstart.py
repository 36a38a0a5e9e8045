"""The two quick starts: the README's first screen, whole programs that learn and import nothing of
the examples."""

import ast
import re
import runpy

import jax
import pytest

from parity_tests.pages import page_code
from parity_tests.tests import ROOT

FRAMEWORKS = ["jax", "torch"]
SCREEN = dict(zip(FRAMEWORKS, page_code.blocks(ROOT / "README.md")[:2], strict=True))


def source(framework: str) -> str:
    return (ROOT / "examples" / f"quickstart_{framework}.py").read_text()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_begins_as_the_readme_does(framework: str) -> None:
    code, _ = SCREEN[framework]
    assert [line for line in code.splitlines() if line not in source(framework).splitlines()] == []
    assert len(source(framework).splitlines()) <= 26


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_can_be_copied(framework: str) -> None:
    imports = [
        node
        for node in ast.walk(ast.parse(source(framework)))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not [
        node
        for node in imports
        if "examples" in ast.unparse(node) or "parity_tests" in ast.unparse(node)
    ]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_learns(framework: str, capsys: pytest.CaptureFixture[str]) -> None:
    with jax.numpy_dtype_promotion("standard"):
        runpy.run_path(str(ROOT / "examples" / f"quickstart_{framework}.py"))
    losses = [float(x) for x in re.findall(r"loss (\S+)", capsys.readouterr().out)]
    assert len(losses) == 4
    assert losses[-1] < losses[0] / 2

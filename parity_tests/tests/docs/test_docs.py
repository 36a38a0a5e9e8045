"""What the documentation shows runs, and what it claims is what its commands print."""

import doctest
import re
from importlib import import_module
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

import jax
import pytest

import focal_jax.hyperparameters
import focal_jax.linear
import focal_jax.losses
import focal_jax.modules
import focal_jax.posterior
import focal_torch.hyperparameters
import focal_torch.linear
import focal_torch.losses
import focal_torch.modules
import focal_torch.posterior
from parity_tests.contract.family_grid import BETAS
from parity_tests.contract.grid import GAMMAS
from parity_tests.pages import make_readme, page_code, verdict
from parity_tests.pages.make_readme import PAGES, README

TEXT = README.read_text()
VERDICT = "parity_tests.pages.verdict"
# Blocks that need eight devices, pytest, or peers prepared for import are run by tests of their
# own.
ELSEWHERE = {
    "sharding.md": "sharding.test_split_models",
    "parity.md": "checker.test_plugin",
    "migration.md": "docs.test_migration",
}
RUN_HERE = [page for page in PAGES if page.name not in ELSEWHERE]
ALL_BLOCKS = [(page, *block) for page in RUN_HERE for block in page_code.blocks(page)]
# Keras has one backend in a process: test_keras_recipe starts one for each.
BLOCKS = [block for block in ALL_BLOCKS if "KERAS_BACKEND" not in block[1]]
# Those of TensorFlow and Keras among them.
PEERS = "porting.md"
# What the extra `test` does not bring, and a compiler that takes half a minute.
SLOW_CODE = ("import lightgbm", "@torch.compile", "from mmdet", "from timm")
MODULES = [
    *(
        focal_jax.losses,
        focal_jax.linear,
        focal_jax.modules,
        *(focal_jax.hyperparameters, focal_jax.posterior),
    ),
    *(
        focal_torch.losses,
        focal_torch.linear,
        focal_torch.modules,
        *(focal_torch.hyperparameters, focal_torch.posterior),
    ),
]


class Alike(doctest.OutputChecker):
    """As on the pages, the last digit of a fraction is that of the processor."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, got, optionflags) or page_code.same(got, want)


def examples_in(module: ModuleType) -> tuple[int, int]:
    """How many fail, and how many there are, without 64-bit types, as a reader runs them."""
    runner = doctest.DocTestRunner(checker=Alike())
    with jax.enable_x64(False):
        for test in doctest.DocTestFinder().find(module):
            runner.run(test)
    return runner.failures, runner.tries


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples_in_docstrings(module: ModuleType) -> None:
    failed, tried = examples_in(module)
    assert not failed
    assert tried


@pytest.mark.parametrize(
    ("shown", "failed"), [("0.3333333", 0), ("0.3333334", 0), ("0.3333335", 1)]
)
def test_an_example_that_prints_something_else_fails(shown: str, failed: int) -> None:
    module = ModuleType("example", f">>> print(f'{{1 / 3:.7f}}')\n{shown}\n")
    assert examples_in(module) == (failed, 1)


def run_in_its_tier(page: Path, code: str, output: str) -> Any:
    """A parameter of the test below."""
    slow = page.name == PEERS or any(part in code for part in SLOW_CODE)
    marks = pytest.mark.slow if slow else ()
    name = f"{page.name}-{code.splitlines()[-1]}"
    return pytest.param(page, code, output, marks=marks, id=name)


@pytest.mark.parametrize(("page", "code", "output"), [run_in_its_tier(*block) for block in BLOCKS])
def test_code_in_the_pages(page: Path, code: str, output: str) -> None:
    page_code.run(code, output, page.name)


@pytest.mark.parametrize(
    ("code", "output"),
    [("print(1)\n", ""), ("print(1)\n", "2\n"), ("x = 1\n", "1\n"), ("assert 1 > 2\n", "")],
)
def test_code_that_does_not_print_what_the_page_says_fails(
    code: str, output: str, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    blocks = f"```python\n{code}```\n"
    if output:
        blocks += f"\n```text\n{output}```\n"
    for margin in ("", "    "):
        page.write_text(f"Words.\n\n{indent(blocks, margin)}\nWords.\n\n```text\nno output\n```\n")
        assert page_code.blocks(page) == [(code, output)]
        with pytest.raises(AssertionError):
            page_code.run(code, output, page.name)


@pytest.mark.parametrize(
    ("printed", "alike"),
    [
        ("loss 0.124, 1.00e-27, nan 3", True),
        ("loss 0.122, 1.00e-27, nan 3", True),
        ("loss 0.123, 9.99e-28, nan 3", True),
        ("loss 0.125, 1.00e-27, nan 3", False),
        ("loss 0.123, 1.00e-26, nan 3", False),
        ("loss 0.123, 1.00e-27, nan 4", False),
        ("loss 0.123, 1.00e-27, 0.1 3", False),
        ("loss 0.123, 1.00e-27, nan 3 1.00", False),
    ],
)
def test_the_last_digit_of_a_decimal_fraction_may_differ_by_one(printed: str, alike: bool) -> None:
    assert page_code.same(printed, "loss 0.123, 1.00e-27, nan 3") == alike
    assert not page_code.same("0.1", "0.0"), "few digits are exact"


@pytest.mark.parametrize(
    "printed",
    ["loss , 1.00e-27", "loss 0.123, ", "0.123 loss, 1.00e-27", "loss , ", "loss 0.123, #"],
)
def test_a_fraction_that_is_missing_or_elsewhere_is_noticed(printed: str) -> None:
    assert not page_code.same(printed, "loss 0.123, 1.00e-27")


def test_pages_whose_code_is_run_elsewhere() -> None:
    for page, test in ELSEWHERE.items():
        code = [code for code, _ in page_code.blocks(README.parent / "docs" / page)]
        assert code
        module = import_module(f"parity_tests.tests.{test}")
        assert code == module.PAGE_CODE


def test_the_blocks_of_keras_are_run_elsewhere() -> None:
    module = import_module("parity_tests.tests.docs.test_keras_recipe")
    others = [code for _, code, _ in ALL_BLOCKS if "KERAS_BACKEND" in code]
    assert others == [module.CODE]


@pytest.mark.parametrize("module", [focal_jax, focal_torch], ids=lambda module: module.__name__)
def test_the_reference_has_every_name(module: ModuleType) -> None:
    framework = module.__name__.removeprefix("focal_")
    page = (README.parent / "docs" / f"api_{framework}.md").read_text()
    names = re.findall(rf"^::: {module.__name__}\.(\w+)$", page, re.M)
    assert sorted(names) == module.__all__


def test_the_six_lines_differ_in_the_framework_alone() -> None:
    ours, theirs = (code for _, code, _ in BLOCKS[:2])
    assert ours.replace("focal_jax", "focal_torch") == theirs


@pytest.mark.slow
def test_differences_from_other_losses_are_what_the_command_prints() -> None:
    command = "examples.coming_from --markdown"
    assert page_code.same(make_readme.run(command), make_readme.tables(TEXT)[command])


@pytest.mark.slow
def test_the_verdict_is_what_the_command_prints() -> None:
    printed = make_readme.run(VERDICT)
    assert "grade same, asked for is safe" in printed
    for page in (README, README.parent / "docs" / "index.md"):
        assert page_code.same(printed, make_readme.tables(page.read_text())[VERDICT]), page


def test_a_verdict_is_shortened_to_its_reasons() -> None:
    text = "┃ table ┃\nvalues: got 0.0\n→ your loss is 0\nnot safe: 0.0\nFAIL a:b in float32\n"
    *_, dots, reason, grade, end = verdict.shortened(text).splitlines()
    assert (dots, reason, grade, end) == ("…", "→ your loss is 0", "FAIL a:b in float32", "```")


def limit_of(written: str) -> float:
    """Such as "8", "3 + 2γ", "3 + 2(γ + β)" or "4 + 2γ or 8", for the largest γ and β."""
    plain, _, other = written.partition(" or ")
    units, _, per_exponent = plain.partition(" + ")
    exponent = GAMMAS[-1] + BETAS[-1] * ("β" in per_exponent)
    slope = re.match(r"\d*", per_exponent)
    limit = float(units) + exponent * float((slope and slope[0]) or 0)
    return max(limit, float(other or 0))


def test_the_parity_table_is_within_its_limits() -> None:
    """The errors themselves may differ by a rounding between processors; the tests assert the
    limits everywhere."""
    table = make_readme.tables(TEXT)["parity_tests.pages.parity_table --markdown"]
    _, _, *rows = table.strip().splitlines()
    assert len(rows) == 29
    for row in rows:
        title, order, *errors, limits = [cell.strip() for cell in row.strip("|").split("|")]
        limit = limit_of(limits)
        # In targets of 0 and 1 γ·|z| more is allowed, as the README says.
        if order == "1st" and title in ("sigmoid, soft", "sigmoid, quality"):
            limit = max(limit, 100)
        assert all(0 < float(error) <= limit for error in errors if error), row


@pytest.mark.parametrize("page", make_readme.PAGES, ids=lambda page: page.name)
def test_files_that_a_page_links_to_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert links or page.name in ("audit.md", "sweep.md")
    for link in links:
        assert "://" in link or Path(page.parent, link).exists()


def test_no_table_is_missing() -> None:
    """Those of the audit and the sweep are made in other environments, or in hours; here they have
    to be there."""
    tables: dict[str, str] = {}
    for page in make_readme.PAGES:
        tables |= make_readme.tables(page.read_text())
    elsewhere = [command.split()[1] for command in tables if command.startswith("focal-parity")]
    assert set(elsewhere) == {"audit", "sweep"}
    assert tables.pop(VERDICT).startswith("```text\n$ focal-parity check")
    assert all(table.count("\n|") >= 3 for table in tables.values())


def test_the_audit_has_ten_public_implementations() -> None:
    page = Path(README.parent, "docs", "audit.md").read_text()
    accuracy = page.split("### Accuracy")[1]
    _, _, *rows = accuracy.split("\n\n")[1].splitlines()
    names: set[str] = set()
    for row in rows:
        _, name, version, *_ = row.split("|")
        # Formulas, and what is not installed, have words there.
        if version.strip()[0].isdigit():
            names.add(name.split()[0])
    assert len(names - {"focal_jax", "focal_torch"}) >= 10

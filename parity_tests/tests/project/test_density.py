"""The code is as easy to read as the limits say, and what they are about is counted."""

from pathlib import Path
from typing import Any

import pytest

from parity_tests.tests import ROOT

from . import density as command
from .density import LIMITS, OTHER, PACKAGE, Density, Limits, density, failures, markdown
from .imports import FOLDERS

# A docstring, two comments of which one is on a line of its own, and a comment for a tool.
PLAIN = '''"""Text.

More text."""

from typing import Any  # pyright: strict

# A reason.
x: Any = 1  # another reason

def f():
    """Text with # a number sign."""
    return x
'''
PACKED = "y = [a if a else b for a in [c if c else d for c in e]]\n"


def of_source(folder: Path, source: str) -> Density:
    (folder / "module.py").write_text(source)
    return density(folder)


@pytest.mark.parametrize("folder", LIMITS)
def test_a_folder_keeps_to_its_limits(folder: str) -> None:
    assert list(failures(density(ROOT / folder), LIMITS[folder])) == []


def test_every_folder_has_limits() -> None:
    assert set(LIMITS) == set(FOLDERS)


def test_lines_of_a_plain_module(tmp_path: Path) -> None:
    counted = of_source(tmp_path, PLAIN)
    assert (counted.files, counted.lines, counted.code) == (1, 12, 4)
    assert counted.longest_line == len("from typing import Any  # pyright: strict")


def test_docstrings_are_no_statements(tmp_path: Path) -> None:
    """An annotated assignment of six nodes, and a return of three."""
    assert of_source(tmp_path, PLAIN).nodes == 4.5


def test_comments_for_a_tool_are_none(tmp_path: Path) -> None:
    assert of_source(tmp_path, PLAIN).comments == 50.0


@pytest.mark.parametrize(
    "comment", ["# fmt: off", "# noqa", "# noqa: E501", "# type: ignore", "#pragma: no cover"]
)
def test_a_switch_is_known(comment: str, tmp_path: Path) -> None:
    assert of_source(tmp_path, f"x = 1  {comment}\n").comments == 0


@pytest.mark.parametrize("comment", ["# Type of a loss.", "# Any format: one line.", "# 1 of 2"])
def test_a_sentence_is_no_switch(comment: str, tmp_path: Path) -> None:
    assert of_source(tmp_path, f"x = 1  {comment}\n").comments == 100.0


def test_any_is_counted_as_a_word(tmp_path: Path) -> None:
    assert of_source(tmp_path, "x: Any\ny: Anything\nz: list[Any]\nt = 1\n").any_types == 500.0


def test_ternaries_and_comprehensions_are_those_of_100_statements(tmp_path: Path) -> None:
    counted = of_source(tmp_path, PACKED + "z = 1\n")
    assert (counted.ternaries, counted.comprehensions) == (100.0, 100.0)


@pytest.mark.parametrize(
    "source", [PACKED, "x = [a for a in {b for b in c}]", "x = a if b else c if d else e"]
)
def test_a_packed_statement_is_counted_as_such(source: str, tmp_path: Path) -> None:
    assert of_source(tmp_path, f"z = 1\n{source}").packed == 1


@pytest.mark.parametrize("source", ["x = [a for a in b]", "x = a if b else c", "if a: x = 1"])
def test_one_of_a_kind_is_not_packed(source: str, tmp_path: Path) -> None:
    assert of_source(tmp_path, source).packed == 0


def test_the_fullest_folder_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    for number in range(3):
        (inner / f"module_{number}.py").touch()
    assert of_source(tmp_path, PLAIN).most_files == 3


def test_a_packed_folder_is_refused(tmp_path: Path) -> None:
    nodes, ternaries = failures(of_source(tmp_path, PACKED), OTHER)
    assert nodes == "nodes per statement: 27, allowed 15"
    assert ternaries == "ternaries per 100: 200, allowed 6"


GOOD = Density(
    files=2,
    lines=2000,
    code=1000,
    nodes=14.0,
    ternaries=5.0,
    comprehensions=9.0,
    packed=0,
    longest_line=100,
    any_types=20.0,
    comments=10.0,
    most_files=20,
)


@pytest.mark.parametrize("comments", [7.0, 15.0])
def test_a_folder_may_be_at_its_limits(comments: float) -> None:
    assert list(failures(GOOD._replace(comments=comments), PACKAGE)) == []


@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        (PACKAGE, {"nodes": 14.1}),
        (PACKAGE, {"ternaries": 5.1}),
        (PACKAGE, {"any_types": 20.1}),
        (PACKAGE, {"comments": 6.9}),
        (PACKAGE, {"comments": 15.1}),
        (PACKAGE, {"longest_line": 101}),
        (PACKAGE, {"most_files": 21}),
        (OTHER, {"nodes": 15.1}),
        (OTHER, {"ternaries": 6.1}),
        (OTHER, {"longest_line": 101}),
        (OTHER, {"most_files": 21}),
    ],
)
def test_every_limit_can_be_broken(limits: Limits, fault: dict[str, Any]) -> None:
    (value,) = fault.values()
    (line,) = failures(GOOD._replace(**fault), limits)
    assert f"{value:g}, " in line


def test_the_table_is_one_of_markdown() -> None:
    header, rule, row = markdown({"focal_jax": GOOD}).splitlines()
    assert header.count("|") == rule.count("|") == row.count("|")
    assert (
        row == "| `focal_jax` | 2 | 2,000 | 1,000 | 14.0 | 5.0 | 9.0 | 0 | 100 | 20.0 | 10.0 | 20 |"
    )


@pytest.mark.parametrize(("source", "code"), [("x = 1\n", 0), (PACKED, 1)], ids=["plain", "packed"])
def test_the_exit_code_says_whether_a_limit_is_broken(
    source: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "module.py").write_text(source)
    monkeypatch.setattr(command, "ROOT", tmp_path.parent)
    monkeypatch.setattr(command, "LIMITS", {tmp_path.name: OTHER})
    assert command.main() == code
    out, err = capsys.readouterr()
    assert f"| `{tmp_path.name}` |" in out
    assert (f"{tmp_path.name}: nodes per statement: 27, allowed 15" in err) == bool(code)

"""How packed the code is, and how packed it may be: a Markdown table with a row for each folder.

    python -m parity_tests.tests.project.density

A simple statement is one without a block, as an assignment or a return. The exit code is 1 where
a limit is broken, with a line for each.
"""

import ast
import math
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from parity_tests.tests import ROOT

ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign)
SIMPLE = (*ASSIGNMENTS, ast.Assert, ast.Delete, ast.Expr, ast.Raise, ast.Return)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
ANY = re.compile(r"\bAny\b")
# Comments that only switch a tool, and tell a reader nothing.
SWITCH = re.compile(r"#\s*(?:(?:fmt|isort|mypy|pragma|pyright|ruff|type):|noqa\b)")


class Density(NamedTuple):
    """What is counted in a folder. The order is that of the columns."""

    files: int
    lines: int
    # Without docstrings, comments and blank lines.
    code: int
    # AST nodes per simple statement.
    nodes: float
    # Per 100 simple statements.
    ternaries: float
    comprehensions: float
    # Simple statements with more than one ternary or more than one comprehension.
    packed: int
    longest_line: int
    # Per 1000 lines.
    any_types: float
    # Per 100 lines of code.
    comments: float
    most_files: int


HEADER = (
    "Python files",
    "lines",
    "lines of code",
    "nodes per statement",
    "ternaries per 100",
    "comprehensions per 100",
    "statements with several",
    "longest line",
    "`Any` per 1000 lines",
    "comments per 100 lines",
    "most files in a folder",
)
TITLES = dict(zip(Density._fields, HEADER, strict=True))


class Limits(NamedTuple):
    """The most that a folder may have. Of comments there is a fewest as well."""

    nodes: float
    ternaries: float
    any_types: float = math.inf
    comments: float = math.inf
    fewest_comments: float = 0
    longest_line: int = 100
    most_files: int = 20


PACKAGE = Limits(nodes=14, ternaries=5, any_types=20, comments=15, fewest_comments=7)
OTHER = Limits(nodes=15, ternaries=6)
LIMITS = {
    "focal_jax": PACKAGE,
    "focal_torch": PACKAGE,
    "parity_tests": OTHER,
    "benchmarks": OTHER,
    "examples": OTHER,
}


def density(folder: Path) -> Density:
    """Count in all Python files of a folder and of those below it."""
    paths = sorted(folder.rglob("*.py"))
    texts = [path.read_text() for path in paths]
    lines = [line for text in texts for line in text.splitlines()]
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    statements = [node for node in nodes if isinstance(node, SIMPLE) and not is_text(node)]
    sizes = sum(map(size, statements))
    ternaries = of_kind(nodes, ast.IfExp)
    comprehensions = of_kind(nodes, COMPREHENSIONS)
    code = sum(map(code_lines, texts))
    files_in_folders = Counter(path.parent for path in paths)
    return Density(
        files=len(paths),
        lines=len(lines),
        code=code,
        nodes=ratio(sizes, len(statements)),
        ternaries=ratio(100 * ternaries, len(statements)),
        comprehensions=ratio(100 * comprehensions, len(statements)),
        packed=sum(map(is_packed, statements)),
        longest_line=max(map(len, lines), default=0),
        any_types=ratio(1000 * sum(map(any_types, texts)), len(lines)),
        comments=ratio(100 * sum(map(comments, texts)), code),
        most_files=max(files_in_folders.values(), default=0),
    )


def ratio(count: int, total: int) -> float:
    """As the table has it, so that a limit is broken where one sees it."""
    return round(count / max(total, 1), 1)


def is_text(node: ast.AST) -> bool:
    """Whether a node is a docstring."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
        return False
    return isinstance(node.value.value, str)


def size(statement: ast.AST) -> int:
    return len(list(ast.walk(statement)))


Kinds = type[ast.AST] | tuple[type[ast.AST], ...]


def of_kind(nodes: Sequence[ast.AST], kinds: Kinds) -> int:
    return sum(isinstance(node, kinds) for node in nodes)


def is_packed(statement: ast.AST) -> bool:
    nodes = list(ast.walk(statement))
    return of_kind(nodes, ast.IfExp) > 1 or of_kind(nodes, COMPREHENSIONS) > 1


def code_lines(text: str) -> int:
    lines = [line.strip() for line in text.splitlines()]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and is_text(node):
            # What is left of a docstring is as blank as the lines between its paragraphs.
            for i in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[i] = ""
    return sum(line != "" and not line.startswith("#") for line in lines)


def any_types(text: str) -> int:
    return len(ANY.findall(text))


def comments(text: str) -> int:
    """How many lines have a comment for a reader."""
    tokens = tokenize.generate_tokens(StringIO(text).readline)
    strings = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return sum(SWITCH.match(string) is None for string in strings)


def failures(counted: Density, limits: Limits) -> Iterator[str]:
    """One line for every limit that a folder breaks."""
    for name in ("nodes", "ternaries", "any_types", "comments", "longest_line", "most_files"):
        value, most = getattr(counted, name), getattr(limits, name)
        if value > most:
            yield f"{TITLES[name]}: {value:g}, allowed {most}"
    if counted.comments < limits.fewest_comments:
        fewest = limits.fewest_comments
        yield f"{TITLES['comments']}: {counted.comments:g}, at least {fewest}"


def markdown(table: dict[str, Density]) -> str:
    rows = [["folder", *HEADER], ["---"] + ["---:"] * len(HEADER)]
    rows += [[f"`{folder}`", *map(cell, counted)] for folder, counted in table.items()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def cell(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1f}"


def main() -> int:
    table = {folder: density(ROOT / folder) for folder in LIMITS}
    print(markdown(table))
    broken = 0
    for folder, counted in table.items():
        for line in failures(counted, LIMITS[folder]):
            print(f"{folder}: {line}", file=sys.stderr)
            broken = 1
    return broken


if __name__ == "__main__":
    sys.exit(main())

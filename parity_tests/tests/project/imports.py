"""The modules of this repository, and what they import of each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

from parity_tests.tests import ROOT

FOLDERS = ("focal_jax", "focal_torch", "parity_tests", "examples", "benchmarks")


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def python_files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


MODULES = {module_of(path): path for path in python_files()}


def imported(module: str, source: str) -> Iterator[str]:
    """The dotted names of this repository that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        for name in _names(node, module):
            if name.partition(".")[0] in FOLDERS:
                yield name


def _names(node: ast.AST, module: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    start = node.module or ""
    if node.level:
        start = f"{_package(module, node.level)}.{start}".removesuffix(".")
    return [f"{start}.{alias.name}" for alias in node.names]


def _package(module: str, level: int) -> str:
    """Where an import with so many dots starts in a module."""
    path = MODULES.get(module)
    if path is not None and path.name == "__init__.py":
        level -= 1
    parts = module.split(".")
    return ".".join(parts[: len(parts) - level])

"""The wheel has what judges ports and no tests; the sdist has everything that the tests ask for."""

import ast
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from parity_tests.tests import ROOT

PACKAGES = ("focal_jax", "focal_torch", "parity_tests")
FOLDERS = (*PACKAGES, ".ci", ".github", "benchmarks", "docs", "examples")
# What users start: the command and the plugin, the parity table, and the maker of the vectors.
ENTRIES = (
    "parity_tests/pages/parity_table.py",
    "parity_tests/contract/make_vectors.py",
    *ROOT.glob("parity_tests/checker/**/*.py"),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel, the sdist unpacked, and below it the wheel that is
    built from there."""
    folder = tmp_path_factory.mktemp("dist")
    _hatchling(ROOT, folder)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    _hatchling(_unpacked(folder), folder / "again", "-t", "wheel")
    return folder


def _hatchling(tree: Path, folder: Path, *options: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder), *options]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def _unpacked(folder: Path) -> Path:
    (found,) = (
        path for path in folder.iterdir() if path.is_dir() and path.name.startswith("focal_parity-")
    )
    return found


def _wheel(folder: Path) -> dict[str, int]:
    """The files of a wheel with their checksums."""
    with ZipFile(next(folder.glob("*.whl"))) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


def files(folder: Path) -> Iterator[Path]:
    """What belongs to the project in a folder: all but what Python and macOS leave there."""
    for path in folder.rglob("*"):
        if path.is_file() and not {"__pycache__", ".DS_Store"} & set(path.parts):
            yield path.relative_to(ROOT)


def imported(path: Path) -> Iterator[Path]:
    """The files of `parity_tests` that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom):
            parent = path.parents[node.level - 1] if node.level else Path()
            module = parent / (node.module or "").replace(".", "/")
            for found in (module, *(module / name.name for name in node.names)):
                yield from (
                    x
                    for x in (found.with_suffix(".py"), found / "__init__.py")
                    if (ROOT / x).is_file()
                )


def closure() -> set[Path]:
    queue, seen = [ROOT / entry for entry in ENTRIES], set[Path]()
    while queue:
        path = queue.pop()
        path = path.relative_to(ROOT) if path.is_absolute() else path
        if path.parts[0] == "parity_tests" and path not in seen:
            seen.add(path)
            queue += [*imported(path), *(parent / "__init__.py" for parent in path.parents[:-1])]
    return seen


def test_the_wheel_has_what_users_start_and_no_more(built: Path) -> None:
    """What is missing has to be taken out of `exclude` in pyproject.toml; what is too much belongs
    there."""
    python = {
        Path(name)
        for name in _wheel(built)
        if name.startswith("parity_tests/") and name.endswith(".py")
    }
    assert python == closure()


def test_the_wheel_has_all_of_the_packages_and_their_data(built: Path) -> None:
    names = set(_wheel(built))
    for package in PACKAGES[:2]:
        assert {str(path) for path in files(ROOT / package)} <= names
    data = {str(path) for path in files(ROOT / "parity_tests") if path.suffix != ".py"}
    assert {
        name for name in names if name.startswith("parity_tests/") and not name.endswith(".py")
    } == data
    assert {name.partition("/")[0] for name in names} - set(PACKAGES) == {
        _unpacked(built).name + ".dist-info"
    }


def test_the_closure_follows_imports_of_every_form() -> None:
    found = closure()
    assert {Path("parity_tests/__init__.py"), Path("parity_tests/checker/__init__.py")} <= found
    names = (
        "truth/oracle",
        "contract/golden",
        "contract/suite",
        "contract/half_precision",
        "truth/float64",
    )
    assert {Path(f"parity_tests/{name}.py") for name in names} <= found
    assert not {
        path
        for path in found
        if path.name.startswith(("test_", "conftest", "parametrize", "split"))
    }
    assert Path("parity_tests/tests/parametrize.py") in imported(
        Path("parity_tests/tests/layers/test_2_values.py")
    )


def test_the_sdist_has_the_whole_project(built: Path) -> None:
    tree = _unpacked(built)
    wanted = {path for folder in FOLDERS for path in files(ROOT / folder)}
    top = {
        path.relative_to(ROOT)
        for path in ROOT.iterdir()
        if path.suffix in (".cff", ".md", ".toml", ".txt", ".yml")
    }
    wanted |= top | {
        Path("Makefile"),
        Path("LICENSE"),
        Path(".gitignore"),
        Path(".pre-commit-config.yaml"),
    }
    assert sorted(str(path) for path in wanted if not (tree / path).is_file()) == []
    found = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert sorted(found - {str(path) for path in wanted} - {"PKG-INFO"}) == []


def test_the_wheel_of_the_sdist_is_that_of_the_source_tree(built: Path) -> None:
    assert _wheel(built / "again") == _wheel(built)

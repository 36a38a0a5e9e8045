"""The wheel has what judges ports and no tests; the sdist has everything that the tests ask for."""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from parity_tests.tests import ROOT

from .imports import MODULES, imported, module_of

PACKAGES = ("focal_jax", "focal_torch", "parity_tests")
FOLDERS = (*PACKAGES, ".ci", ".github", "benchmarks", "docs", "examples")
# What users start: the command and the plugin, the parity table, and the maker of the vectors.
ENTRIES = (
    "parity_tests.pages.parity_table",
    "parity_tests.contract.make_vectors",
    *map(module_of, ROOT.glob("parity_tests/checker/**/*.py")),
)
# What is not in one of the folders, by name or by its ending.
FILES = ("Makefile", "LICENSE", ".gitignore", ".pre-commit-config.yaml")
ENDINGS = (".cff", ".md", ".toml", ".txt", ".yml")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel, the sdist unpacked, and below it the wheel that is
    built from there."""
    folder = tmp_path_factory.mktemp("dist")
    _hatchling(ROOT, folder)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        # Python 3.11 has it from 3.11.4 on.
        settings: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **settings)
    _hatchling(_unpacked(folder), folder / "again", "-t", "wheel")
    return folder


def _hatchling(tree: Path, folder: Path, *options: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder), *options]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def _unpacked(folder: Path) -> Path:
    (tree,) = (path for path in folder.glob("focal_parity-*") if path.is_dir())
    return tree


def _wheel(folder: Path) -> dict[str, int]:
    """The files of a wheel with their checksums."""
    with ZipFile(next(folder.glob("*.whl"))) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


def files(folder: Path) -> Iterator[Path]:
    """What belongs to the project in a folder: all but what Python and macOS leave there."""
    for path in folder.rglob("*"):
        if path.is_file() and not {"__pycache__", ".DS_Store"} & set(path.parts):
            yield path.relative_to(ROOT)


def needed(module: str) -> Iterator[str]:
    """The modules of `parity_tests` that a module imports, and the package that it is in."""
    yield module.rpartition(".")[0]
    for name in imported(module, MODULES[module].read_text()):
        # The last part of a name may be a function or a class of a module.
        yield name if name in MODULES else name.rpartition(".")[0]


def closure() -> set[str]:
    """The files that the entries need."""
    queue = list(ENTRIES)
    seen: set[str] = set()
    while queue:
        module = queue.pop()
        if module.startswith("parity_tests") and module not in seen:
            seen.add(module)
            queue += needed(module)
    return {str(MODULES[module].relative_to(ROOT)) for module in seen}


def test_the_wheel_has_what_users_start_and_no_more(built: Path) -> None:
    """What is missing has to be taken out of `exclude` in pyproject.toml; what is too much belongs
    there."""
    ours = [name for name in _wheel(built) if name.startswith("parity_tests/")]
    assert {name for name in ours if name.endswith(".py")} == closure()


def test_the_wheel_has_all_of_the_packages_and_their_data(built: Path) -> None:
    names = set(_wheel(built))
    for package in PACKAGES[:2]:
        assert {str(path) for path in files(ROOT / package)} <= names
    expected = {str(path) for path in files(ROOT / "parity_tests") if path.suffix != ".py"}
    ours = [name for name in names if name.startswith("parity_tests/")]
    assert {name for name in ours if not name.endswith(".py")} == expected


def test_the_wheel_has_nothing_beside_the_packages(built: Path) -> None:
    top = {name.partition("/")[0] for name in _wheel(built)}
    assert top == {*PACKAGES, f"{_unpacked(built).name}.dist-info"}


@pytest.mark.parametrize(
    "name",
    [
        "__init__",
        "checker/__init__",
        "truth/oracle",
        "truth/float64",
        "contract/golden",
        "contract/suite",
        "contract/half_precision",
    ],
)
def test_the_closure_follows_imports_of_every_form(name: str) -> None:
    assert f"parity_tests/{name}.py" in closure()


def test_the_closure_has_nothing_of_the_tests() -> None:
    assert not [path for path in closure() if path.startswith("parity_tests/tests")]
    of_a_test = needed("parity_tests.tests.layers.test_2_values")
    assert "parity_tests.tests.parametrize" in of_a_test


def test_the_sdist_has_the_whole_project(built: Path) -> None:
    tree = _unpacked(built)
    packed = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    expected = {str(path) for folder in FOLDERS for path in files(ROOT / folder)}
    expected |= {path.name for path in ROOT.iterdir() if path.suffix in ENDINGS}
    expected |= set(FILES)
    assert sorted(expected - packed) == []
    assert sorted(packed - expected - {"PKG-INFO"}) == []


def test_the_wheel_of_the_sdist_is_that_of_the_source_tree(built: Path) -> None:
    assert _wheel(built / "again") == _wheel(built)

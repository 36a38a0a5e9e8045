"""Each extra as a user has it: installed from the wheel where nothing else is, to run what it is
for.

    python -m parity_tests.tests.project.extras              every extra, in a quarter of an hour
    python -m parity_tests.tests.project.extras jax parity   only these

`test_extras.py` runs the same programs in the environment of the tests, and hides what an extra
does not bring.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from parity_tests.tests import ROOT

from .extras_programs import EXTRAS, FILES, Program

# Seconds for pip, which may have to download, and for a program.
INSTALL, PROGRAM = 1200, 600
HEADER = ("extra", "for", "MB")

Row = tuple[str, str, str]


class ExtraError(Exception):
    """A program of an extra that did not end as it should."""


def run(python: str | Path, program: Program, folder: Path, settings: dict[str, str]) -> None:
    """Run a program among its files, and raise unless it ends as it should."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    command = [str(python), *program.arguments]
    env = environment() | settings
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=PROGRAM
    )
    if done.returncode != program.code or program.prints not in done.stdout:
        expected = f"exit code {program.code} and {program.prints!r}, got {done.returncode}"
        raise ExtraError(f"{program.arguments}: expected {expected}\n{done.stdout}\n{done.stderr}")


def environment() -> dict[str, str]:
    """That of this process, without what leads Python to other packages than those of its own
    environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "JAX_PLATFORMS": "cpu", "NO_MKDOCS_2_WARNING": "1"}


def wheel(folder: Path) -> Path:
    """The wheel of this source tree, built into a folder."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=INSTALL)
    (built,) = folder.glob("*.whl")
    return built


def megabytes(extra: str, built: Path, folder: Path) -> int:
    """Install the wheel with an extra in a new environment and run its programs; return what the
    environment takes."""
    python = install(f"{built}[{extra}]", folder / "venv")
    files = (folder / "venv").rglob("*")
    # A block of `st_blocks` has 512 bytes on every system that has blocks.
    size = sum(path.lstat().st_blocks * 512 for path in files)
    work = folder / "work"
    work.mkdir()
    for name in EXTRAS[extra].folders:
        shutil.copytree(ROOT / name, work / name)
    for program in EXTRAS[extra].programs:
        run(python, program, work, {})
    return round(size / 2**20)


def install(requirement: str, environment: Path) -> Path:
    """Make an environment with a requirement, and return its Python."""
    python = environment / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=INSTALL)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--quiet"]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, *constraints, requirement], check=True, timeout=INSTALL)
    return python


def rows(extras: Sequence[str]) -> tuple[list[Row], list[str]]:
    """A row for each extra that does what it is for, and what the programs of the others say."""
    table: list[Row] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        built = wheel(Path(folder))
        for extra in tqdm(extras, desc="extras", disable=None):
            try:
                with tempfile.TemporaryDirectory() as empty:
                    size = megabytes(extra, built, Path(empty))
            except (ExtraError, subprocess.SubprocessError) as error:
                failures.append(f"[{extra}] {error}")
            else:
                table.append((extra, EXTRAS[extra].purpose, f"{size:,}"))
    return table, failures


def where() -> str:
    """What the sizes are those of."""
    major, minor, _ = platform.python_version_tuple()
    system = f"{platform.system()} {platform.machine()}, Python {major}.{minor}"
    torch = metadata.version("torch")
    return f"MB of an empty environment after the installation: {system}, PyTorch {torch}."


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = " ".join(EXTRAS)
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help=f"default: {names}")
    args = parser.parse_args()
    if unknown := set(args.extras) - EXTRAS.keys():
        parser.error(f"no extra is called {', '.join(sorted(unknown))}: there are {names}")
    table, failures = rows(args.extras or list(EXTRAS))
    show(table)
    for failure in failures:
        print(failure, file=sys.stderr)
    return bool(failures)


def show(table: list[Row]) -> None:
    pretty = Table(*HEADER, caption=where())
    for row in table:
        pretty.add_row(*row)
    Console().print(pretty)


if __name__ == "__main__":
    sys.exit(main())

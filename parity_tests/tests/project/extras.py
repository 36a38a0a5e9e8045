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
from collections.abc import Mapping
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


def run(python: str | Path, program: Program, folder: Path, settings: Mapping[str, str]) -> None:
    """Run a program among its files, and raise unless it ends as it should."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    done = subprocess.run(
        [str(python), *program.arguments],
        cwd=folder,
        env={**environment(), **settings},
        capture_output=True,
        text=True,
        timeout=PROGRAM,
    )
    if done.returncode != program.code or program.prints not in done.stdout:
        asked = f"exit code {program.code} and {program.prints!r}, got {done.returncode}"
        raise ExtraError(f"{program.arguments}: expected {asked}\n{done.stdout}\n{done.stderr}")


def environment() -> dict[str, str]:
    """That of this process, without what leads Python to other packages than those of its own
    environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "JAX_PLATFORMS": "cpu", "NO_MKDOCS_2_WARNING": "1"}


def wheel(folder: Path) -> Path:
    """The wheel of this source tree, built into a folder."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=INSTALL)
    (found,) = folder.glob("*.whl")
    return found


def megabytes(extra: str, built: Path, folder: Path) -> int:
    """Install the wheel with an extra in a new environment and run its programs; return what the
    environment takes."""
    python, work = folder / "venv" / "bin" / "python", folder / "work"
    subprocess.run(
        [sys.executable, "-m", "venv", str(folder / "venv")], check=True, timeout=INSTALL
    )
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--quiet",
        "--constraint",
        str(ROOT / "constraints.txt"),
    ]
    subprocess.run([*pip, f"{built}[{extra}]"], check=True, timeout=INSTALL)
    size = sum(path.lstat().st_blocks * 512 for path in (folder / "venv").rglob("*"))
    work.mkdir()
    for name in EXTRAS[extra].folders:
        shutil.copytree(ROOT / name, work / name)
    for program in EXTRAS[extra].programs:
        run(python, program, work, {})
    return round(size / 2**20)


def rows(extras: list[str]) -> tuple[list[Row], list[str]]:
    """A row for each extra that does what it is for, and what the programs of the others say."""
    found, failures = list[Row](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        built = wheel(Path(folder))
        for extra in tqdm(extras, desc="extras", disable=None):
            try:
                with tempfile.TemporaryDirectory() as empty:
                    found.append(
                        (extra, EXTRAS[extra].purpose, f"{megabytes(extra, built, Path(empty)):,}")
                    )
            except (ExtraError, subprocess.SubprocessError) as error:
                failures.append(f"[{extra}] {error}")
    return found, failures


def where() -> str:
    system = f"{platform.system()} {platform.machine()}, Python {sys.version_info.major}.{sys.version_info.minor}"
    return f"MB of an empty environment after the installation: {system}, PyTorch {metadata.version('torch')}."


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help=f"default: {' '.join(EXTRAS)}")
    asked = parser.parse_args()
    if unknown := set(asked.extras) - EXTRAS.keys():
        parser.error(
            f"no extra is called {', '.join(sorted(unknown))}: there are {' '.join(EXTRAS)}"
        )
    table, failures = rows(asked.extras or list(EXTRAS))
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

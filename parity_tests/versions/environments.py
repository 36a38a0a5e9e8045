"""An environment for each pair of versions, in a folder that git ignores."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from . import stand_ins
from .pairs import ROOT, Pair

FOLDER = ROOT / ".venv-versions"
# What the tests that are run need besides the frameworks.
OF_THE_TESTS = ("hypothesis", "jinja2", "mpmath", "pytest", "rich", "tqdm")
# A CUDA build of PyTorch asks for these, and a CPU does without.
OF_CUDA = ("cuda-", "nvidia-", "triton")
REQUIRES = "from importlib.metadata import requires; print(*requires('torch'), sep='\\n')"
LIBRARIES = "import importlib.util as u; print(*u.find_spec('torch').submodule_search_locations)"


class MissingError(Exception):
    """What a machine lacks for a pair."""


def interpreter(versions: Iterable[str]) -> str:
    """The first of some versions of Python that this machine has, on the path or from pyenv."""
    for version in versions:
        if _is_python(name := f"python{version}"):
            return name
        if found := sorted((_pyenv() / "versions").glob(f"{version}.*/bin/python")):
            return str(found[-1])
    raise MissingError(f"none of Python {', '.join(versions)} is on the path or in pyenv")


def _is_python(name: str) -> bool:
    """Whether a command runs: a shim of pyenv is on the path also where it does not."""
    if not shutil.which(name):
        return False
    return subprocess.run([name, "--version"], capture_output=True, timeout=60).returncode == 0


def _pyenv() -> Path:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    if not shutil.which("pyenv"):
        return root
    done = subprocess.run(["pyenv", "root"], capture_output=True, text=True, timeout=60)
    return Path(done.stdout.strip()) if done.returncode == 0 else root


def python_of(name: str, pair: Pair) -> str:
    """The interpreter of the environment of a pair, which is made if it is not there yet.

    One with the newest versions is made anew: there may be newer ones.
    """
    folder, made = FOLDER / name, FOLDER / f"{name}.json"
    python, asked = str(folder / "bin" / "python"), json.dumps([pair, OF_THE_TESTS])
    is_fixed = all(pair.requirements.values())
    if not is_fixed or not made.exists() or made.read_text() != asked:
        made.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        _run(interpreter(pair.pythons), "-m", "venv", str(folder))
        _install(python, pair)
        made.write_text(asked)
    return python


def _install(python: str, pair: Pair) -> None:
    """PyTorch without the libraries of CUDA, then everything else at once."""
    asked = {name: name + version for name, version in pair.requirements.items()}
    _pip(python, "--no-deps", asked.pop("torch"))
    own = [line for line in _run(python, "-c", REQUIRES).splitlines() if "extra ==" not in line]
    own = [line for line in own if not line.startswith(OF_CUDA)]
    _pip(python, *own, *asked.values(), *OF_THE_TESTS)
    done = subprocess.run(
        [python, "-c", "import torch"], capture_output=True, text=True, timeout=300
    )
    if (
        "cannot open shared object file" in done.stderr
        or "not found in the system path" in done.stderr
    ):
        stand_ins.make(Path(_run(python, "-c", LIBRARIES).strip(), "lib"))


def _pip(python: str, *arguments: str) -> None:
    _run(python, "-m", "pip", "install", "--quiet", "--quiet", *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise MissingError(f"{' '.join(command)}\n{done.stderr.strip()}")
    return done.stdout

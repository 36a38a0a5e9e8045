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

# What an import of PyTorch says where there is none of them.
MISSING_LIBRARY = ("cannot open shared object file", "not found in the system path")


class MissingError(Exception):
    """What a machine lacks for a pair."""


def interpreter(versions: Iterable[str]) -> str:
    """The first of some versions of Python that this machine has, on the path or from pyenv."""
    for version in versions:
        name = f"python{version}"
        if _is_python(name):
            return name
        installed = (_pyenv() / "versions").glob(f"{version}.*/bin/python")
        if paths := sorted(installed):
            return str(paths[-1])
    raise MissingError(f"none of Python {', '.join(versions)} is on the path or in pyenv")


def _is_python(name: str) -> bool:
    """Whether a command runs: a shim of pyenv is on the path also where it does not."""
    if not shutil.which(name):
        return False
    done = subprocess.run([name, "--version"], capture_output=True, timeout=60)
    return done.returncode == 0


def _pyenv() -> Path:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    if not shutil.which("pyenv"):
        return root
    done = subprocess.run(["pyenv", "root"], capture_output=True, text=True, timeout=60)
    if done.returncode:
        return root
    return Path(done.stdout.strip())


def python_of(name: str, pair: Pair) -> str:
    """The interpreter of the environment of a pair, which is made if it is not there yet.

    One with the newest versions is made anew: there may be newer ones.
    """
    folder, record = FOLDER / name, FOLDER / f"{name}.json"
    python = str(folder / "bin" / "python")
    contents = json.dumps([pair, OF_THE_TESTS])
    is_fixed = all(pair.requirements.values())
    if is_fixed and record.exists() and record.read_text() == contents:
        return python
    record.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run(interpreter(pair.pythons), "-m", "venv", str(folder))
    _install(python, pair)
    record.write_text(contents)
    return python


def _install(python: str, pair: Pair) -> None:
    """PyTorch without the libraries of CUDA, then everything else at once."""
    requirements = {name: name + version for name, version in pair.requirements.items()}
    _pip(python, "--no-deps", requirements.pop("torch"))
    of_torch = []
    for line in _run(python, "-c", REQUIRES).splitlines():
        if "extra ==" not in line and not line.startswith(OF_CUDA):
            of_torch.append(line)
    _pip(python, *of_torch, *requirements.values(), *OF_THE_TESTS)
    command = [python, "-c", "import torch"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if any(message in done.stderr for message in MISSING_LIBRARY):
        folder = _run(python, "-c", LIBRARIES).strip()
        stand_ins.make(Path(folder, "lib"))


def _pip(python: str, *arguments: str) -> None:
    _run(python, "-m", "pip", "install", "--quiet", "--quiet", *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise MissingError(f"{' '.join(command)}\n{done.stderr.strip()}")
    return done.stdout

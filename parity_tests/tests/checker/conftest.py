"""Ports for all tests that run them: a module of them, and the examples in other languages."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from parity_tests.tests import ROOT

from .processes import PATIENT

EXAMPLES = ROOT / "examples" / "ports"


@pytest.fixture(scope="session")
def sample_ports() -> Path:
    return Path(__file__).with_name("sample_ports.py")


@pytest.fixture
def ports(sample_ports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of ports, which is where the command is called."""
    shutil.copy(sample_ports, tmp_path / "some_ports.py")
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("some_ports", "broken"):
        sys.modules.pop(name, None)
    return tmp_path


def tool(name: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is needed to test ports in other languages: install it"
    return path


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The examples, ready to run."""
    focal = tmp_path_factory.mktemp("c") / "focal"
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    compiler = [tool("cc"), "-O2", *strict, "-o", focal, EXAMPLES / "focal.c", "-lm"]
    subprocess.run(compiler, check=True, timeout=PATIENT)
    return {
        "focal.c": str(focal),
        "focal.js": shlex.join([tool("node"), str(EXAMPLES / "focal.js")]),
        "wrong.py": shlex.join([sys.executable, str(EXAMPLES / "wrong.py")]),
    }

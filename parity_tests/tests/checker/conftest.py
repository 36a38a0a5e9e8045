"""The example ports, for all tests that run them."""

import shlex
import shutil
import subprocess
import sys

import pytest

from parity_tests.tests import ROOT

from .processes import PATIENT

EXAMPLES = ROOT / "examples" / "ports"


def tool(name: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is needed to test ports in other languages: install it"
    return path


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The examples, ready to run."""
    focal = tmp_path_factory.mktemp("c") / "focal"
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    command = [tool("cc"), "-O2", *strict, "-o", focal, EXAMPLES / "focal.c", "-lm"]
    subprocess.run(command, check=True, timeout=PATIENT)
    runners = {"focal.js": tool("node"), "wrong.py": sys.executable}
    return {"focal.c": str(focal)} | {
        name: shlex.join([x, str(EXAMPLES / name)]) for name, x in runners.items()
    }

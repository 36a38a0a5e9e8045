"""What each extra is for, as programs that have to run where nothing else is installed."""

import shlex
import sys
from dataclasses import dataclass

from parity_tests.pages.page_code import blocks, blocks_of
from parity_tests.tests import ROOT

README, RECIPES = ROOT / "README.md", ROOT / "docs" / "recipes.md"
SIGMOID, DOUBLE = ("--as", "sigmoid_focal_loss"), ("--dtype", "float64")

# What lies in the folder of a program: a port in numpy, and one that is a program.
FILES = {
    "losses.py": """
import numpy as np

def focal(logits, targets, gamma):
    u = np.where(targets == 1, logits, -logits)
    tail = np.exp(-np.abs(u))
    q = np.where(u >= 0, tail, 1) / (1 + tail)
    return (q**gamma * (np.maximum(-u, 0) + np.log1p(tail))).astype(logits.dtype)
""",
    "port.py": (ROOT / "examples" / "ports" / "wrong.py").read_text(),
}
# It needs no more than Python, so that any will do.
PORT = shlex.join([sys.executable, "port.py"])
# More time for an answer than by default, for a machine that may be busy.
COMMAND = ("--command", PORT, "--time-limit", "120")
IMPORT_ALL = """
import pkgutil
from importlib import import_module
import {0}

for module in pkgutil.walk_packages({0}.__path__, "{0}."):
    if module.name.startswith({1}) and not module.name.endswith("__main__"):
        import_module(module.name)
"""
# MkDocs takes a relative path from the folder of the settings.
BUILD_SITE = f"""
from pathlib import Path
from mkdocs.__main__ import cli

cli(["build", "--strict", "--config-file", {str(ROOT / "mkdocs.yml")!r}, "--site-dir", str(Path("site").resolve())])
"""


@dataclass(frozen=True)
class Program:
    """Arguments of Python, what they have to print among other things, and the exit code they have
    to end with."""

    arguments: tuple[str, ...]
    prints: str = ""
    code: int = 0
    # Takes a minute or more, and is run by `make extras` alone.
    long: bool = False


@dataclass(frozen=True)
class Extra:
    purpose: str
    programs: tuple[Program, ...]
    # Packages that are not in the wheel, and are run from the source tree.
    folders: tuple[str, ...] = ()


def readme_code(package: str) -> Program:
    """Each block of the README that imports a package, one after the other."""
    found = [code for code, _ in blocks(README) if package in code]
    return Program(("-c", "\n".join(found)))


def trainings(*titles: str) -> tuple[Program, ...]:
    """The first block below each of these titles of the recipes: a whole training."""
    parts = [RECIPES.read_text().partition(f"\n## {title}\n")[2] for title in titles]
    return tuple(Program(("-c", blocks_of(part)[0][0])) for part in parts)


def every_module(package: str, *beginnings: str) -> Program:
    begin = tuple(f"{package}.{name}" for name in beginnings or ("",))
    return Program(("-c", IMPORT_ALL.format(package, begin)))


def module(*arguments: str, prints: str = "", code: int = 0, long: bool = False) -> Program:
    return Program(("-m", *arguments), prints, code, long)


def focal_parity(*arguments: str, prints: str = "", code: int = 0) -> Program:
    return module("parity_tests.checker.cli", *arguments, prints=prints, code=code)


def right(port: str, *options: str) -> Program:
    return focal_parity(
        "check", port, *SIGMOID, "--layer", "values", *options, prints=f"PASS {port}"
    )


EXTRAS = {
    "jax": Extra("`focal_jax`", (readme_code("focal_jax"), *trainings("Plain JAX"))),
    "flax": Extra("`focal_jax` with Flax and optax", trainings("Flax NNX", "Flax Linen")),
    "torch": Extra("`focal_torch`", (readme_code("focal_torch"), *trainings("PyTorch"))),
    "parity": Extra(
        "the command `focal-parity`, for ports in numpy or as programs",
        (
            focal_parity("list", prints="sigmoid_focal_loss"),
            focal_parity("explain", "softmax_focal_loss", prints="gamma"),
            focal_parity("vectors", "--out", "vectors"),
            right("losses:focal", "--set", "alpha=none"),
            focal_parity("check", *COMMAND, *SIGMOID, *DOUBLE, prints=f"FAIL {PORT}", code=1),
        ),
    ),
    "parity,jax": Extra(
        "`focal-parity`, for losses in JAX", (right("focal_jax:sigmoid_focal_loss"),)
    ),
    "parity,torch": Extra(
        "`focal-parity`, for losses in PyTorch", (right("focal_torch:sigmoid_focal_loss"),)
    ),
    "examples": Extra(
        "[`examples/`](examples/README.md) and `make demo`",
        (
            every_module("examples"),
            module("examples.plot_focal_loss"),
            module("examples", long=True),
        ),
        folders=("examples", "benchmarks"),
    ),
    "bench": Extra(
        "`make bench`",
        (every_module("benchmarks"), module("benchmarks", "--quick", long=True)),
        folders=("benchmarks",),
    ),
    "aot": Extra(
        "compilers for devices that are not there: `make accelerators`",
        (every_module("benchmarks", "aot"), module("benchmarks.aot", "--quick", long=True)),
        folders=("benchmarks",),
    ),
    "docs": Extra(
        "`make docs`",
        (Program(("-c", BUILD_SITE)),),
    ),
}

"""What each extra is for, as programs that have to run where nothing else is installed."""

import shlex
import sys
from dataclasses import dataclass

from parity_tests.pages.page_code import blocks, blocks_of
from parity_tests.tests import ROOT

README = ROOT / "README.md"
RECIPES = ROOT / "docs" / "recipes.md"
SIGMOID = ("--as", "sigmoid_focal_loss")
DOUBLE = ("--dtype", "float64")

# What lies in the folder of a program: a port in numpy, and one that is a program.
PORT_IN_NUMPY = """
import numpy as np

def focal(logits, targets, gamma):
    u = np.where(targets == 1, logits, -logits)
    tail = np.exp(-np.abs(u))
    q = np.where(u >= 0, tail, 1) / (1 + tail)
    return (q**gamma * (np.maximum(-u, 0) + np.log1p(tail))).astype(logits.dtype)
"""
FILES = {
    "losses.py": PORT_IN_NUMPY,
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

site = str(Path("site").resolve())
cli(["build", "--strict", "--config-file", {str(ROOT / "mkdocs.yml")!r}, "--site-dir", site])
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
    chosen = [code for code, _ in blocks(README) if package in code]
    return Program(("-c", "\n".join(chosen)))


def training(title: str) -> Program:
    """The first block below a title of the recipes: a whole training."""
    _, _, section = RECIPES.read_text().partition(f"\n## {title}\n")
    code, _ = blocks_of(section)[0]
    return Program(("-c", code))


def every_module(package: str, beginning: str = "") -> Program:
    """Import the modules of a package whose names begin like this."""
    return Program(("-c", IMPORT_ALL.format(package, repr(f"{package}.{beginning}"))))


def module(*arguments: str, prints: str = "", code: int = 0, long: bool = False) -> Program:
    return Program(("-m", *arguments), prints, code, long)


def focal_parity(*arguments: str, prints: str = "", code: int = 0) -> Program:
    return module("parity_tests.checker.cli", *arguments, prints=prints, code=code)


def right(port: str, *options: str) -> Program:
    """A check of the values of a right port."""
    arguments = ("check", port, *SIGMOID, "--layer", "values", *options)
    return focal_parity(*arguments, prints=f"PASS {port}")


FOR_JAX = Extra("`focal_jax`", (readme_code("focal_jax"), training("Plain JAX")))
FOR_FLAX = Extra("`focal_jax` with Flax and optax", (training("Flax NNX"), training("Flax Linen")))
FOR_TORCH = Extra("`focal_torch`", (readme_code("focal_torch"), training("PyTorch")))
PARITY_PROGRAMS = (
    focal_parity("list", prints="sigmoid_focal_loss"),
    focal_parity("explain", "softmax_focal_loss", prints="gamma"),
    focal_parity("vectors", "--out", "vectors"),
    right("losses:focal", "--set", "alpha=none"),
    focal_parity("check", *COMMAND, *SIGMOID, *DOUBLE, prints=f"FAIL {PORT}", code=1),
)
FOR_PARITY = Extra("the command `focal-parity`, for ports in numpy or as programs", PARITY_PROGRAMS)
FOR_PARITY_IN_JAX = Extra(
    "`focal-parity`, for losses in JAX", (right("focal_jax:sigmoid_focal_loss"),)
)
FOR_PARITY_IN_TORCH = Extra(
    "`focal-parity`, for losses in PyTorch", (right("focal_torch:sigmoid_focal_loss"),)
)
EXAMPLES_PROGRAMS = (
    every_module("examples"),
    module("examples.plot_focal_loss"),
    module("examples", long=True),
)
FOR_EXAMPLES = Extra(
    "[`examples/`](examples/README.md) and `make demo`",
    EXAMPLES_PROGRAMS,
    folders=("examples", "benchmarks"),
)
BENCH_PROGRAMS = (every_module("benchmarks"), module("benchmarks", "--quick", long=True))
FOR_BENCH = Extra("`make bench`", BENCH_PROGRAMS, folders=("benchmarks",))
AOT_PROGRAMS = (
    every_module("benchmarks", "aot"),
    module("benchmarks.aot", "--quick", long=True),
)
FOR_AOT = Extra(
    "compilers for devices that are not there: `make accelerators`",
    AOT_PROGRAMS,
    folders=("benchmarks",),
)
FOR_DOCS = Extra("`make docs`", (Program(("-c", BUILD_SITE)),))

EXTRAS = {
    "jax": FOR_JAX,
    "flax": FOR_FLAX,
    "torch": FOR_TORCH,
    "parity": FOR_PARITY,
    "parity,jax": FOR_PARITY_IN_JAX,
    "parity,torch": FOR_PARITY_IN_TORCH,
    "examples": FOR_EXAMPLES,
    "bench": FOR_BENCH,
    "aot": FOR_AOT,
    "docs": FOR_DOCS,
}

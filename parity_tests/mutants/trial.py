"""Whether something notices a mutant: the quick tier, then the layers of the checker, then the
tests of the module's own subject.

Each mutant has a process of its own, forked from one that knows the truth of the small grid; there
the changed source is imported in place of the file, and no file is written.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from types import CodeType, ModuleType
from typing import NamedTuple

import pytest

from parity_tests.contract.suite import SMALL_GRID, solved

from .mutant import ROOT, Mutant, unchanged

QUICK, CHECKER, OWN = "quick tier", "checker", "own tests"
TESTS = "parity_tests/tests"
RECIPES = ("losses/test_recipe_slopes.py", "losses/test_recipes.py")
RECIPES += ("invalid/test_recipes_out_of_range.py",)
LINEAR = ("linear/test_linear.py", "linear/test_linear_transformations.py")
SMALL_CALLS = ("losses/test_fast_paths.py", "losses/test_small_calls.py")
# Tests of what the quick tier asks little of, such as compiled loops, by the name of the file.
OWN_TESTS: dict[str, tuple[str, ...]] = {
    "hyperparameters.py": RECIPES,
    "posterior.py": RECIPES,
    "ranges.py": ("invalid/test_invalid_values.py",),
    "linear_chunk.py": LINEAR,
    "linear_inputs.py": LINEAR,
    "linear_scan.py": LINEAR,
    "eager.py": SMALL_CALLS,
    "focal.py": (SMALL_CALLS[0], "layers/test_2_values.py", LINEAR[0]),
    "programs.py": SMALL_CALLS,
}
SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
# The losses that the checker asks about a file. None of them calls a recipe or a linear loss.
CHECKED: dict[str, tuple[str, ...]] = {
    "eager.py": (SOFTMAX,),
    "focal.py": (SIGMOID, SOFTMAX),
    "interpolated.py": (SIGMOID,),
    "interpolated_pt.py": (SIGMOID,),
    "margin.py": (SOFTMAX,),
    "programs.py": (SOFTMAX,),
    "ranges.py": (SIGMOID, SOFTMAX),
    "reduction.py": (SIGMOID, SOFTMAX),
    "sigmoid.py": (SIGMOID,),
    "softmax.py": (SOFTMAX,),
}
# A mutant that never ends is noticed, too.
SECONDS = 1800


# Asks about a mutant; the answer is the test or layer that fails, or "".
Notice = Callable[[Mutant], str]


class Outcome(NamedTuple):
    """What noticed a mutant first, or "", and where."""

    killer: str
    place: str


def prepare() -> None:
    """Import and compute what every mutant needs, before there is one."""
    for name in ("jax", "torch"):
        importlib.import_module(name)
    for name in SMALL_GRID:
        solved(name)


def outcome(mutant: Mutant) -> Outcome:
    """What notices a mutant first. Each of them has a process of its own."""
    for killer, notice in _killers(mutant).items():
        place = _apart(notice, mutant)
        if place:
            return Outcome(killer, place)
    return Outcome("", "")


def _killers(mutant: Mutant) -> dict[str, Notice]:
    killers: dict[str, Notice] = {}
    if mutant.file in CHECKED:
        killers[QUICK] = _quick_tier
    if mutant.file in OWN_TESTS:
        killers[OWN] = _own_tests
    if mutant.file in CHECKED:
        killers[CHECKER] = _checker
    return killers


def controls(mutants: Iterable[Mutant]) -> list[Mutant]:
    """Modules as they are, which nothing may notice, for all that the mutants are shown to."""
    chosen: dict[tuple[object, ...], Mutant] = {}
    for mutant in mutants:
        shown_to = (mutant.package, CHECKED.get(mutant.file), OWN_TESTS.get(mutant.file))
        chosen.setdefault(shown_to, unchanged(mutant.path))
    return list(chosen.values())


def _apart(notice: Notice, mutant: Mutant) -> str:
    """The answer of a forked process, in which the mutant is imported."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(notice, mutant, sender))
    process.start()
    sender.close()
    try:
        if receiver.poll(SECONDS):
            return receiver.recv()
        return f"no end within {SECONDS} s"
    except EOFError:
        process.join()
        raise RuntimeError(f"{mutant.name}: its process ended with {process.exitcode}") from None
    finally:
        process.kill()
        process.join()


def _answer(notice: Notice, mutant: Mutant, sender: Connection) -> None:
    os.chdir(ROOT)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())
    sys.meta_path.insert(0, Finder(mutant))
    sender.send(notice(mutant))


def _quick_tier(mutant: Mutant) -> str:
    return _failure([f"{TESTS}/layers", "--tier=quick"], mutant)


def _own_tests(mutant: Mutant) -> str:
    files = [f"{TESTS}/{path}" for path in OWN_TESTS[mutant.file]]
    return _failure([*files, "--tier=test"], mutant)


def _failure(arguments: Sequence[str], mutant: Mutant) -> str:
    """The first test that fails; what runs the other package alone is left out."""
    other = "torch" if mutant.package == "focal_jax" else "jax"
    own = mutant.package.removeprefix("focal_")
    watch = Watch()
    options = ["-x", "-q", "-n0", "-p", "no:cacheprovider", "--assert=plain"]
    options += ["-k", f"{own} or not {other}"]
    code = pytest.main([*arguments, *options], plugins=[watch])
    if code == pytest.ExitCode.OK:
        return ""
    return watch.failed or f"pytest ends with {code!r}"


def _checker(mutant: Mutant) -> str:
    """The first layer of the checker that refuses the package."""
    # Not before the fork: this imports the packages.
    from parity_tests.checker.layers.build import Options, build
    from parity_tests.checker.layers.check import LAYERS, layer
    from parity_tests.checker.layers.judge import FAIL

    for function in CHECKED[mutant.file]:
        subject = build(Options(f"{mutant.package}:{function}", function), "float32")
        for name in LAYERS:
            if layer(subject, subject.plan, name).status == FAIL:
                return f"{function} {name}"
    return ""


class Watch:
    """The pytest plugin that keeps the first failure."""

    def __init__(self) -> None:
        self.failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.failed:
            self.failed = f"cannot import {report.nodeid}"


class Finder(importlib.abc.MetaPathFinder):
    """Finds the mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.mutant.module:
            return None
        file = str(ROOT / self.mutant.path)
        return importlib.util.spec_from_file_location(
            fullname, file, loader=Loader(fullname, file, self.mutant)
        )


class Loader(importlib.machinery.SourceFileLoader):
    """Loads the changed source."""

    def __init__(self, fullname: str, path: str, mutant: Mutant) -> None:
        super().__init__(fullname, path)
        self.mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.mutant.source(), self.path, "exec")

"""Whether something notices a mutant: the quick tier, then the layers of the checker, then the
tests of the module's own subject.

Each mutant has a process of its own, forked from one that knows the truth of the small grid; there
a copy of the package with the change is imported in place of the package, also by the processes
that it starts.
"""

import importlib
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from parity_tests.contract.suite import SMALL_GRID, solved

from .mutant import ROOT, Mutant, unchanged

QUICK, CHECKER, OWN, SPLIT = "quick tier", "checker", "own tests", "split"
TESTS = "parity_tests/tests"
RECIPES = ("losses/test_recipe_slopes.py", "losses/test_recipes.py")
RECIPES += ("losses/test_recipe_vectors.py", "losses/test_recipe_errors.py")
RECIPES += ("invalid/test_recipes_out_of_range.py",)
INVALID = ("invalid/test_invalid_values.py",)
FAST_PATHS, SMALL_CALLS = "losses/test_fast_paths.py", "losses/test_small_calls.py"
LINEAR_LOSS = "linear/test_linear.py"
FAMILY = ("losses/test_family.py", *INVALID)
# The small calls have the hooks of gradients that are differentiated again.
LINEAR = (LINEAR_LOSS, "linear/test_linear_transformations.py", SMALL_CALLS)
LINEAR += ("linear/test_masked_rows.py",)
# Tests of what the quick tier asks little of, such as compiled loops, by the name of the file.
OWN_TESTS: dict[str, tuple[str, ...]] = {
    "hyperparameters.py": RECIPES,
    "posterior.py": RECIPES,
    "targets.py": (*RECIPES, "losses/test_targets.py"),
    "ranges.py": INVALID,
    "reduction.py": INVALID,
    "sigmoid.py": INVALID,
    "softmax.py": INVALID,
    "chunk_sizes.py": ("linear/test_chunk_sizes.py",),
    "linear_chunk.py": LINEAR,
    "linear_inputs.py": LINEAR,
    "linear_scan.py": LINEAR,
    "z_loss.py": (LINEAR_LOSS, "linear/test_z_loss.py"),
    "eager.py": (FAST_PATHS, SMALL_CALLS),
    "focal.py": (FAST_PATHS, "layers/test_2_values.py", LINEAR_LOSS),
    "margin.py": ("losses/test_rows.py",),
    "programs.py": (FAST_PATHS, SMALL_CALLS, LINEAR_LOSS),
    "asymmetric.py": FAMILY,
    "distance.py": FAMILY,
    "heatmap.py": FAMILY,
    "quality.py": FAMILY,
    "shifted.py": FAMILY,
    "varifocal.py": FAMILY,
}
SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
ASYMMETRIC, HEATMAP, VARIFOCAL = "asymmetric_loss", "heatmap_focal_loss", "varifocal_loss"
# The losses that the checker asks about a file. None of them calls a recipe or a linear loss.
CHECKED: dict[str, tuple[str, ...]] = {
    "asymmetric.py": (ASYMMETRIC,),
    "distance.py": (SIGMOID,),
    "eager.py": (SOFTMAX,),
    "focal.py": (SIGMOID, SOFTMAX),
    "heatmap.py": (HEATMAP,),
    "interpolated.py": (SIGMOID,),
    "interpolated_pt.py": (SIGMOID,),
    "margin.py": (SOFTMAX,),
    "programs.py": (SOFTMAX,),
    "quality.py": (SIGMOID,),
    "ranges.py": (SIGMOID, SOFTMAX),
    "reduction.py": (SIGMOID, SOFTMAX),
    "shifted.py": (ASYMMETRIC,),
    "sigmoid.py": (SIGMOID,),
    "softmax.py": (SOFTMAX,),
    "varifocal.py": (VARIFOCAL,),
}
# The files that know of groups, and the tests that split every loss among devices.
IN_GROUPS = {"linear_chunk.py", "linear_inputs.py", "linear_scan.py", "margin.py"}
IN_GROUPS |= {"reduction.py", "softmax.py", "z_loss.py"}
SPLIT_TESTS = {"focal_jax": "test_devices_of_jax", "focal_torch": "test_ranks_of_torch"}
# A mutant that never ends is noticed, too.
SECONDS = 1800


# Asks about a mutant whose package is in a folder; the answer is the test or layer that fails,
# or "".
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
    with TemporaryDirectory() as folder:
        copied = Path(folder, mutant.package)
        shutil.copytree(ROOT / mutant.package, copied)
        Path(folder, mutant.path).write_text(mutant.source())
        for killer, notice in _killers(mutant).items():
            place = _apart(notice, mutant, folder)
            if place:
                return Outcome(killer, place)
    return Outcome("", "")


def _killers(mutant: Mutant) -> dict[str, Notice]:
    """Those of its file, the quickest first; a module as it is has one."""
    killers: dict[str, Notice] = {}
    if mutant.file in CHECKED:
        killers[QUICK] = _quick_tier
    if mutant.file in OWN_TESTS:
        killers[OWN] = _own_tests
    if mutant.file in IN_GROUPS:
        killers[SPLIT] = _split_tests
    if mutant.file in CHECKED:
        killers[CHECKER] = _checker
    if mutant.operator:
        return killers
    return {name: notice for name, notice in killers.items() if mutant.definition.endswith(name)}


def controls(mutants: Iterable[Mutant]) -> list[Mutant]:
    """Modules as they are, which nothing that the mutants are shown to may notice."""
    chosen: dict[tuple[object, ...], Mutant] = {}
    for mutant in mutants:
        own, checked = OWN_TESTS.get(mutant.file), CHECKED.get(mutant.file)
        asked: dict[str, object] = {OWN: own, CHECKER: checked}
        for killer in _killers(mutant):
            shown_to = (mutant.package, killer, asked.get(killer))
            chosen.setdefault(shown_to, unchanged(mutant.path, killer))
    return list(chosen.values())


def _apart(notice: Notice, mutant: Mutant, folder: str) -> str:
    """The answer of a forked process, in which the package is that of the folder."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(notice, mutant, folder, sender))
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


def _answer(notice: Notice, mutant: Mutant, folder: str, sender: Connection) -> None:
    os.chdir(ROOT)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())
    sys.path.insert(0, folder)
    # For processes that this one starts: the working directory is not searched before these.
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, str(ROOT)])
    try:
        # At once, since pytest searches the working directory first.
        package = importlib.import_module(mutant.package)
    except Exception as error:
        sender.send(f"cannot import: {error!r}")
        return
    assert str(package.__file__).startswith(folder), "the package itself was imported before"
    sender.send(notice(mutant))


def _quick_tier(mutant: Mutant) -> str:
    # Not whether the two packages have the same lines.
    names = f"--ignore={TESTS}/layers/test_1_names.py"
    return _failure([f"{TESTS}/layers", "--tier=quick", names], mutant)


def _own_tests(mutant: Mutant) -> str:
    files = [f"{TESTS}/{path}" for path in OWN_TESTS[mutant.file]]
    return _failure([*files, "--tier=test"], mutant)


def _split_tests(mutant: Mutant) -> str:
    # Those of all cases.
    test = f"{TESTS}/sharding/test_split.py::{SPLIT_TESTS[mutant.package]}"
    return _failure([test], mutant, "range")


def _failure(arguments: Sequence[str], mutant: Mutant, chosen: str = "") -> str:
    """The first test that fails; what runs the other package alone is left out."""
    other = "torch" if mutant.package == "focal_jax" else "jax"
    own = mutant.package.removeprefix("focal_")
    watch = Watch(CHECKED.get(mutant.file, ()))
    options = ["-x", "-q", "-n0", "-p", "no:cacheprovider", "--assert=plain"]
    options += ["-k", chosen or f"{own} or not {other}"]
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
    """The pytest plugin that keeps the first failure, and runs the tests of one loss first."""

    def __init__(self, losses: Sequence[str]) -> None:
        self.failed = ""
        self.losses = [loss.split("_")[0] for loss in losses]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: not any(loss in item.name for loss in self.losses))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.failed:
            self.failed = f"cannot import {report.nodeid}"

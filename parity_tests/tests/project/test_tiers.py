"""Each test has its tier, the small grid is part of the grid, and a worker lets go of memory."""

import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from parity_tests.contract.suite import PROBLEMS
from parity_tests.ports.packages import EAGER_JAX, JAX, PORTS, TORCH
from parity_tests.tests import ROOT, conftest, tiers, worker

FOLDER = ROOT / "parity_tests" / "tests"
VALUES = FOLDER / "layers" / "test_2_values.py"
FILES = sorted(FOLDER.rglob("test_*.py"))
SMALL = min(tiers.SMALL_GRID)
LARGE = min(PROBLEMS.keys() - tiers.SMALL_GRID)
MARKS = ((), ("slow",), ("not_quick",), ("slow", "not_quick"))
Params = dict[str, Any] | None
PARAMS: list[Params] = [None, {}]
PARAMS += [{"name": name} for name in (SMALL, LARGE, "no problem")]
PARAMS += [{"port": port} for port in PORTS]
PARAMS += [{"gamma": gamma} for gamma in (0.5, 2.0, 2.7)]
PARAMS += [{"name": SMALL, "port": JAX, "gamma": 0.5}]


def item(path: Path, marks: tuple[str, ...] = (), params: Params = None) -> Any:
    """What tiers and workers read of a test."""
    test = SimpleNamespace(path=path, get_closest_marker=lambda name: name in marks or None)
    # A test without parameters has no such attribute.
    if params is not None:
        test.callspec = SimpleNamespace(params=params)
    return test


def items() -> Iterator[Any]:
    for path, marks, params in product(FILES, MARKS, PARAMS):
        yield item(path, marks, params)


def is_run(test: Any, tier: str) -> bool:
    return not tiers.is_ignored(test.path, tier) and tiers.belongs(test, tier)


def test_slow_files_exist() -> None:
    assert tiers.SLOW_FILES.keys() <= {path.name for path in FILES}


def test_the_small_grid_is_part_of_the_grid() -> None:
    assert set(PROBLEMS) > tiers.SMALL_GRID
    for kind in worker.KINDS:
        if "float32" in kind:
            assert any(name.startswith(kind) for name in tiers.SMALL_GRID), kind


def is_in_one_tier(test: Any) -> bool:
    return is_run(test, "test") != is_run(test, "slow")


def test_every_test_is_in_one_of_test_and_slow() -> None:
    assert all(map(is_in_one_tier, items()))


def test_eager_jax_is_slow_beyond_the_small_grid() -> None:
    for name, port in product(PROBLEMS, PORTS):
        test = item(VALUES, params={"name": name, "port": port})
        is_small = name in tiers.SMALL_GRID and "float32" in name
        assert is_run(test, "slow") == (port == EAGER_JAX and not is_small)


def test_quick_is_part_of_test() -> None:
    quick = [test for test in items() if is_run(test, "quick")]
    assert quick
    assert all(is_run(test, "test") for test in quick)
    assert {test.path for test in quick} == set(filter(tiers.is_layer, FILES))


def test_without_a_tier_every_test_is_run() -> None:
    for path in FILES:
        assert not tiers.is_ignored(path, None)
    for test in items():
        assert tiers.belongs(test, None)


@pytest.mark.parametrize(
    ("marks", "params", "expected"),
    [
        ((), None, True),
        (("slow",), None, False),
        (("not_quick",), None, False),
        ((), {"name": SMALL}, True),
        ((), {"name": LARGE}, False),
        ((), {"gamma": 2.7}, False),
        ((), {"dtype": "float64"}, False),
        *(((), {"port": port}, port in (JAX, TORCH)) for port in PORTS),
    ],
)
def test_what_is_quick(marks: tuple[str, ...], params: Params, expected: bool) -> None:
    assert is_run(item(VALUES, marks, params), "quick") == expected


def test_a_file_that_no_tier_imports_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "is_ignored", lambda path, tier: path.name == "test_exact.py")
    assert not all(map(is_in_one_tier, items()))


@pytest.mark.parametrize(("over", "released"), [(-1, 0), (0, 0), (1, 1)])
def test_memory_is_released_beyond_the_growth(
    over: int, released: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident = [1000]
    calls: list[int] = []
    monkeypatch.setattr(worker, "resident_bytes", lambda: resident[0])
    monkeypatch.setattr(worker, "release_compiled_programs", lambda: calls.append(resident[0]))
    limit = worker.MemoryLimit()
    resident[0] += worker.GROWTH + over
    limit.pytest_runtest_teardown()
    assert len(calls) == released
    # What is left after a release is where the next growth starts.
    limit.pytest_runtest_teardown()
    assert len(calls) == released


@pytest.mark.parametrize(
    ("file", "port"), [("test_2_values", "jax"), ("test_3_derivatives", "eager-jax")]
)
def test_tests_of_a_kind_of_problem_are_a_group(file: str, port: str) -> None:
    for problem in PROBLEMS:
        kind = worker.group(f"parity_tests/tests/layers/{file}.py::test_a[{problem}-{port}]")
        assert problem.startswith(f"{kind} ")
        assert kind.endswith(("float32", "float64"))


@pytest.mark.parametrize("name", ["test_a[softmax float32-jax]", "test_a[jax]", "test_a"])
def test_other_tests_of_a_file_are_a_group(name: str) -> None:
    file = "parity_tests/tests/layers/test_2_values.py"
    assert worker.group(f"{file}::{name}") == file


@pytest.mark.parametrize(
    ("tier", "profile", "loaded"),
    [
        ("quick", None, ["quick"]),
        ("quick", "explore", []),
        ("test", None, ["test"]),
        ("slow", None, []),
        (None, None, []),
    ],
)
def test_smaller_tiers_draw_fewer_examples_unless_a_profile_is_given(
    tier: str | None, profile: str | None, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    settings = SimpleNamespace(load_profile=calls.append)
    monkeypatch.setattr(conftest, "hypothesis", SimpleNamespace(settings=settings))
    options = {"--tier": tier, "--hypothesis-profile": profile}
    plugins = SimpleNamespace(register=lambda plugin: None)
    config: Any = SimpleNamespace(getoption=options.__getitem__, pluginmanager=plugins)
    conftest.pytest_configure(config)
    assert calls == loaded


def begins(until: float | None) -> None:
    """A test of a run that ends then."""
    options = {"--until": until}
    late: Any = SimpleNamespace(config=SimpleNamespace(getoption=options.__getitem__))
    conftest.pytest_runtest_setup(late)


def test_what_has_not_begun_in_time_is_skipped() -> None:
    begins(None)
    begins(time.time() + 60)
    with pytest.raises(pytest.skip.Exception, match="no time"):
        begins(time.time() - 60)

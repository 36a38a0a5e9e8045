"""Each test has its tier, the small grid is part of the grid, and a worker lets go of memory."""

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
FILES = sorted(FOLDER.rglob("test_*.py"))
SMALL, LARGE = min(tiers.SMALL_GRID), min(PROBLEMS.keys() - tiers.SMALL_GRID)
MARKS = ((), ("slow",), ("not_quick",), ("slow", "not_quick"))
PARAMS: tuple[dict[str, Any] | None, ...] = (
    *(None, {}, {"name": SMALL}, {"name": LARGE}, {"name": "no problem"}),
    *({"port": port} for port in PORTS),
    *({"gamma": gamma} for gamma in (0.5, 2.0, 2.7)),
    {"name": SMALL, "port": JAX, "gamma": 0.5},
)


def item(path: Path, marks: tuple[str, ...] = (), params: dict[str, Any] | None = None) -> Any:
    """What tiers and workers ask of a test."""
    found = SimpleNamespace(path=path, get_closest_marker=lambda name: name in marks or None)
    if params is not None:
        found.callspec = SimpleNamespace(params=params)
    return found


def items() -> Iterator[Any]:
    for path, marks, params in product(FILES, MARKS, PARAMS):
        yield item(path, marks, params)


def is_run(test: Any, tier: str) -> bool:
    return not tiers.is_ignored(test.path, tier) and tiers.belongs(test, tier)


def test_slow_files_exist() -> None:
    assert tiers.SLOW_FILES.keys() <= {path.name for path in FILES}


def test_the_small_grid_is_part_of_the_grid() -> None:
    assert set(PROBLEMS) > tiers.SMALL_GRID
    kinds = [
        kind for kind in worker.KINDS if any(name.startswith(kind) for name in tiers.SMALL_GRID)
    ]
    assert {kind for kind in worker.KINDS if "float32" in kind} <= set(kinds)


def test_every_test_is_in_one_of_test_and_slow() -> None:
    assert all(is_run(test, "test") != is_run(test, "slow") for test in items())


def test_eager_jax_is_slow_beyond_the_small_grid() -> None:
    path = FOLDER / "layers" / "test_2_values.py"
    for name, port in product(PROBLEMS, PORTS):
        test = item(path, params={"name": name, "port": port})
        is_small = name in tiers.SMALL_GRID and "float32" in name
        assert is_run(test, "slow") == (port == EAGER_JAX and not is_small)


def test_quick_is_part_of_test() -> None:
    quick = [test for test in items() if is_run(test, "quick")]
    assert quick
    assert all(is_run(test, "test") for test in quick)
    assert {test.path for test in quick} == {path for path in FILES if tiers.is_layer(path)}


def test_without_a_tier_every_test_is_run() -> None:
    assert not any(tiers.is_ignored(path, None) for path in FILES)
    assert all(tiers.belongs(test, None) for test in items())


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
def test_what_is_quick(
    marks: tuple[str, ...],
    params: dict[str, Any] | None,
    expected: bool,
) -> None:
    assert is_run(item(FOLDER / "layers" / "test_2_values.py", marks, params), "quick") == expected


def test_a_file_that_no_tier_imports_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "is_ignored", lambda path, tier: path.name == "test_exact.py")
    assert not all(is_run(test, "test") != is_run(test, "slow") for test in items())


@pytest.mark.parametrize(("over", "released"), [(-1, 0), (0, 0), (1, 1)])
def test_memory_is_released_beyond_the_growth(
    over: int,
    released: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resident, calls = [1000], []
    monkeypatch.setattr(worker, "resident_bytes", lambda: resident[0])
    monkeypatch.setattr(worker, "release_compiled_programs", lambda: calls.append(resident[0]))
    limit = worker.MemoryLimit()
    resident[0] += worker.GROWTH + over
    limit.pytest_runtest_teardown()
    assert len(calls) == released
    # What is left after a release is where the next growth starts.
    limit.pytest_runtest_teardown()
    assert len(calls) == released


def test_a_group_is_a_kind_of_problem_or_a_file() -> None:
    values, derivatives = (
        "parity_tests/tests/layers/test_2_values.py",
        "parity_tests/tests/layers/test_3_derivatives.py",
    )
    for path, port in ((values, "jax"), (derivatives, "eager-jax")):
        for problem in PROBLEMS:
            kind = worker.group(f"{path}::test_a[{problem}-{port}]")
            assert problem.startswith(f"{kind} ")
            assert kind.endswith(("float32", "float64"))
    assert worker.group(f"{values}::test_a[softmax float32-jax]") == values
    assert worker.group(f"{values}::test_a[jax]") == values
    assert worker.group(f"{values}::test_a") == values


@pytest.mark.parametrize(
    ("tier", "given", "loaded"),
    [
        ("quick", None, ["quick"]),
        ("quick", "explore", []),
        ("test", None, ["test"]),
        ("slow", None, []),
        (None, None, []),
    ],
)
def test_smaller_tiers_draw_fewer_examples_unless_a_profile_is_given(
    tier: str | None, given: str | None, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []
    settings = SimpleNamespace(load_profile=found.append)
    monkeypatch.setattr(conftest, "hypothesis", SimpleNamespace(settings=settings))
    config: Any = SimpleNamespace(
        getoption={"--tier": tier, "--hypothesis-profile": given}.__getitem__,
        pluginmanager=SimpleNamespace(register=lambda plugin: None),
    )
    conftest.pytest_configure(config)
    assert found == loaded

"""No wrong number without a word: values out of range are errors where they are known, and NaN
elsewhere."""

from pathlib import Path
from unittest import mock

import pytest

import focal_jax._base.arguments
import focal_torch._base.arguments
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.tests.parametrize import slow

from . import fuzz, table

FAST = ("jax.jit", "torch.func.vmap")
CONVENTIONS = Path(__file__).parents[3] / "docs" / "conventions.md"


def check(first: int, calls: int, draws: int, ways: tuple[str, ...]) -> int:
    """Run calls with the seeds from `first` on. Returns how many draws had an invalid element."""
    invalid = 0
    modes = {name: fuzz.TRACED[name] for name in ways}
    for way, count in fuzz.run(first, calls, draws, modes):
        assert not count.wrong, f"{way}: {count.wrong[0]}"
        invalid += count.invalid
    return invalid


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_mapped_and_compiled_by_jax(first: int) -> None:
    assert check(first, 10, 40, FAST) > 100


def test_values_that_nobody_waits_for() -> None:
    assert check(100, 20, 3, ("torch, values unknown",)) > 5


@slow
def test_many_calls() -> None:
    assert check(1000, 60, 200, FAST) > 5000
    assert check(1000, 8, 5, ("torch.compile",)) > 5


@pytest.mark.parametrize("package", [focal_jax, focal_torch])
def test_a_package_that_lets_values_pass_is_found(package: object) -> None:
    name = getattr(package, "__name__", "")
    arguments = {"focal_jax": focal_jax._base.arguments, "focal_torch": focal_torch._base.arguments}
    way = {"focal_jax": "jax.jit", "focal_torch": "torch.func.vmap"}[name]
    with (
        mock.patch.object(arguments[name], "nan_outside", lambda _, x: x),
        pytest.raises(AssertionError, match=way),
    ):
        check(0, 10, 20, (way,))


@pytest.mark.parametrize("row", table.ROWS, ids=lambda row: f"{row.function}: {row.kind}")
def test_both_packages_say_the_same(row: table.Row) -> None:
    known = table.when_known(JAX, row)
    traced = table.when_traced(JAX, row)
    assert table.when_known(TORCH, row) == known
    assert table.when_traced(TORCH, row) == traced
    # What is no error is right, and the same in both ways to call.
    if not known.startswith("expected"):
        assert "nan" not in traced
        assert traced == known
    else:
        assert "nan" in traced


def test_the_table_of_the_page() -> None:
    assert "\n".join(table.lines()) in CONVENTIONS.read_text()

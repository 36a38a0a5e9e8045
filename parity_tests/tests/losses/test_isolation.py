"""Importing one package imports nothing of the other, nor of the judge. Each claim has a test that
it can fail."""

import subprocess
import sys

import pytest

from parity_tests.tests.parametrize import slow

# What must not be imported with each.
CLAIMS = {
    "focal_jax": ("torch", "flax", "optax", "mpmath", "focal_torch", "parity_tests"),
    "focal_torch": ("jax", "flax", "mpmath", "focal_jax", "parity_tests"),
    "parity_tests.truth.oracle": ("jax", "torch", "focal_jax", "focal_torch", "numpy"),
}


def imported(module: str, also: str = "") -> set[str]:
    """The top-level modules that a new process has after importing `module`."""
    top_level = "{name.split('.')[0] for name in sys.modules}"
    code = f"import sys; import {module}{also}; print(*sorted({top_level}))"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("module", CLAIMS)
def test_imports_only_what_it_needs(module: str) -> None:
    unwanted = set(CLAIMS[module])
    assert imported(module) & unwanted == set()


@pytest.mark.parametrize(
    "module", [slow("focal_jax"), "focal_torch", slow("parity_tests.truth.oracle")]
)
def test_the_test_above_would_notice(module: str) -> None:
    unwanted = CLAIMS[module][0]
    assert unwanted in imported(module, also=f", {unwanted}")

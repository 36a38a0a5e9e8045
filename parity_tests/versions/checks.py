"""What the smoke of a framework is made of: named checks, and the versions that a check is for."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from packaging.specifiers import SpecifierSet

# Sums in another order, and derivatives of them.
ROUNDINGS = 1e-12


class Check(NamedTuple):
    """What is run, and for which versions it can be: "" for all that the project asks for."""

    run: Callable[[], None]
    needs: str = ""


class DifferentError(AssertionError):
    """Two ways to one number that do not agree."""


def same(got: Any, expected: Any, allowed: float = ROUNDINGS) -> None:
    got = np.asarray(got, np.float64)
    expected = np.asarray(expected, np.float64)
    if got.shape != expected.shape:
        raise DifferentError(f"shape {got.shape} in place of {expected.shape}")
    error = np.abs(got - expected).max(initial=0)
    largest = np.abs(expected).max(initial=0)
    # NaN is no error that is allowed.
    if not error <= allowed * largest:
        raise DifferentError(f"an error of {error}")


def refused(function: Callable[..., Any], *args: Any, words: str) -> None:
    """Require an error with some words."""
    try:
        function(*args)
    except Exception as error:
        if words not in str(error):
            raise
        return
    raise DifferentError(f"no error that says {words!r}")


def outcome(check: Check, version: str) -> str:
    """ok, or the version that is needed, or the first line of an error; where a version is needed,
    a check has to fail without it."""
    public, _, _ = version.partition("+")
    is_for_this = SpecifierSet(check.needs, prereleases=True).contains(public)
    try:
        check.run()
    except Exception as error:
        text = _first_line(error)
        return f"FAILED {text}" if is_for_this else f"needs {check.needs}: {text}"
    return "ok" if is_for_this else f"FAILED needs {check.needs} no more"


def _first_line(error: Exception) -> str:
    """Without addresses, so that two runs say the same."""
    message = str(error).strip() or repr(error)
    line = re.sub(r"0x[0-9a-f]+", "…", message.splitlines()[0])
    return f"{type(error).__name__}: {line[:200]}"


def report(checks: Mapping[str, Check], version: str) -> int:
    """Run and print all; 1 if any fails."""
    code = 0
    for name, check in checks.items():
        text = outcome(check, version)
        print(f"{name}: {text}", flush=True)
        if text.startswith("FAILED"):
            code = 1
    return code

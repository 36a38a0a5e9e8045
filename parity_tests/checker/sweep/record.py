"""What a sweep asks and what it finds, and the file in which it keeps that.

The first line of the file says what its numbers belong to; each further line is one block that is
done. Floats are written in hex, so that a sweep that was interrupted ends with the same bits.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from parity_tests.ports.subject import BadPortError
from parity_tests.truth import float64

from .members import MEMBERS

# What a framework is installed as.
VERSIONS = {"jax": ("jax", "jaxlib", "numpy"), "torch": ("torch", "numpy")}
COUNTS = ("nans", "infinities", "nans_lost", "rises", "logits")


@dataclass(frozen=True)
class Settings:
    """What a sweep asks. It goes to every worker, and what it found belongs to no other
    settings."""

    target: str
    framework: str
    gammas: tuple[float, ...]
    labels: str = "int32"
    sample: bool = False
    loss: str = "sigmoid"

    @property
    def blocks(self) -> int:
        """2^21 magnitudes with both signs each; or one exponent each."""
        return 2**8 if self.sample else 2**10

    @property
    def chunk(self) -> int:
        """How many magnitudes are computed at once: what fits into the cache, and divides what a
        block has."""
        return 2**14 if self.sample else 2**16


@dataclass(frozen=True)
class Cell:
    """What was found for one γ and target. Errors are in eps, and each stands before the logit that
    has it."""

    gamma: float
    target: int
    value: float = 0.0
    value_at: float = np.nan
    slope: float = 0.0
    slope_at: float = np.nan
    nans: int = 0
    infinities: int = 0
    nans_lost: int = 0
    rises: int = 0
    rise: float = 0.0
    logits: int = 0

    def __add__(self, other: "Cell") -> "Cell":
        """Both together. Of equal errors the first one stays."""
        worse = other if other.value > self.value else self
        both = replace(self, value=worse.value, value_at=worse.value_at)
        steeper = other if other.slope > self.slope else self
        both = replace(both, slope=steeper.slope, slope_at=steeper.slope_at)
        counts = {name: getattr(self, name) + getattr(other, name) for name in COUNTS}
        return replace(both, rise=max(self.rise, other.rise), **counts)


def empty(settings: Settings) -> dict[tuple[float, int], Cell]:
    cells = {}
    for gamma in settings.gammas:
        for target in (0, 1):
            cells[gamma, target] = Cell(gamma, target)
    return cells


def header(settings: Settings) -> dict[str, Any]:
    packages = VERSIONS[settings.framework]
    columns = [field.name for field in fields(Cell)]
    here = Path(__file__)
    ours = [here.with_name(name) for name in ("blocks.py", "members.py")]
    comparison = [*ours, Path(float64.__file__)]
    return {
        "port": settings.target,
        "source": _digest(_sources(settings.target)),
        "framework": dict(zip(packages, map(importlib.metadata.version, packages), strict=True)),
        "loss": settings.loss,
        "alpha": MEMBERS[settings.loss].alpha.hex(),
        "gammas": [gamma.hex() for gamma in settings.gammas],
        "targets": settings.labels,
        "sample": settings.sample,
        "comparison": _digest(comparison),
        "columns": columns,
    }


def _sources(target: str) -> list[Path]:
    """The file of the port's module, and those of its whole package if it is in one."""
    package = target.partition(":")[0].partition(".")[0]
    spec = importlib.util.find_spec(package)
    if spec is None:
        return []
    files: list[Path] = []
    for folder in spec.submodule_search_locations or ():
        files += sorted(Path(folder).rglob("*.py"))
    if not files and spec.origin:
        files = [Path(spec.origin)]
    return files


def _digest(files: list[Path]) -> str:
    source = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(source).hexdigest()[:16]


def recall(path: Path, expected: dict[str, Any]) -> dict[int, list[Cell]]:
    """The blocks that the file has; a new file begins with the header."""
    text = path.read_text(errors="replace") if path.exists() else ""
    if not text:
        path.write_text(json.dumps(expected) + "\n")
        return {}
    # An interrupted run may have left half a line.
    whole = text[: text.rfind("\n") + 1]
    try:
        first, *blocks = map(json.loads, whole.splitlines())
        different = [key for key in expected if first.get(key) != expected[key]]
        if not different:
            os.truncate(path, len(whole))
            return {block["block"]: _decoded(block["cells"]) for block in blocks}
    except (ValueError, AttributeError, KeyError, TypeError):
        message = f"{path} is no results file of a sweep: name another one with --results"
        raise BadPortError(message) from None
    key = different[0]
    raise BadPortError(
        f"{path} belongs to another sweep: {key} is {first.get(key)} there and {expected[key]} "
        "here; delete it, or name another one with --results"
    )


def append(path: Path, block: int, cells: list[Cell]) -> None:
    rows = []
    for cell in cells:
        rows.append([_encoded(x) for x in astuple(cell)])
    line = json.dumps({"block": block, "cells": rows})
    with path.open("a") as file:
        file.write(f"{line}\n")


def _encoded(x: int | float) -> int | str:
    return x.hex() if isinstance(x, float) else x


def _decoded(rows: list[list[Any]]) -> list[Cell]:
    cells = []
    for row in rows:
        numbers = [_number(x) for x in row]
        cells.append(Cell(*numbers))
    return cells


def _number(x: Any) -> Any:
    return float.fromhex(x) if isinstance(x, str) else x

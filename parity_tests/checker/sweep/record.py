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

ALPHA = 0.25
# What a framework is installed as.
VERSIONS = {"jax": ("jax", "jaxlib", "numpy"), "torch": ("torch", "numpy")}


@dataclass(frozen=True)
class Settings:
    """What a sweep asks. It goes to every worker, and what it found belongs to no other
    settings."""

    target: str
    framework: str
    gammas: tuple[float, ...]
    labels: str = "int32"
    sample: bool = False

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
        value, slope = (
            other if getattr(other, x) > getattr(self, x) else self for x in ("value", "slope")
        )
        counts = ("nans", "infinities", "nans_lost", "rises", "logits")
        return replace(
            self,
            value=value.value,
            value_at=value.value_at,
            slope=slope.slope,
            slope_at=slope.slope_at,
            rise=max(self.rise, other.rise),
            **{name: getattr(self, name) + getattr(other, name) for name in counts},
        )


def empty(settings: Settings) -> dict[tuple[float, int], Cell]:
    return {(gamma, target): Cell(gamma, target) for gamma in settings.gammas for target in (0, 1)}


def header(settings: Settings) -> dict[str, Any]:
    return {
        "port": settings.target,
        "source": _digest(_sources(settings.target)),
        "framework": {
            name: importlib.metadata.version(name) for name in VERSIONS[settings.framework]
        },
        "alpha": ALPHA.hex(),
        "gammas": [gamma.hex() for gamma in settings.gammas],
        "targets": settings.labels,
        "sample": settings.sample,
        "comparison": _digest([Path(__file__).with_name("blocks.py"), Path(float64.__file__)]),
        "columns": [field.name for field in fields(Cell)],
    }


def _sources(target: str) -> list[Path]:
    """The file of the port's module, and those of its whole package if it is in one."""
    spec = importlib.util.find_spec(target.partition(":")[0].partition(".")[0])
    folders = (spec and spec.submodule_search_locations) or ()
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    return files or [Path(spec.origin)] if spec and spec.origin else files


def _digest(files: list[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def recall(path: Path, expected: dict[str, Any]) -> dict[int, list[Cell]]:
    """The blocks that the file has; a new file begins with the header."""
    text = path.read_text(errors="replace") if path.exists() else ""
    if not text:
        path.write_text(json.dumps(expected) + "\n")
        return {}
    # An interrupted run may have left half a line.
    whole = text[: text.rfind("\n") + 1]
    try:
        found, *blocks = (json.loads(line) for line in whole.splitlines())
        different = [key for key in expected if found.get(key) != expected[key]]
        if not different:
            os.truncate(path, len(whole))
            return {block["block"]: [_decode(cell) for cell in block["cells"]] for block in blocks}
    except (ValueError, AttributeError, KeyError, TypeError):
        raise BadPortError(
            f"{path} is no results file of a sweep: name another one with --results"
        ) from None
    key = different[0]
    raise BadPortError(
        f"{path} belongs to another sweep: {key} is {found.get(key)} there and {expected[key]} here; delete it, or "
        "name another one with --results"
    )


def append(path: Path, block: int, cells: list[Cell]) -> None:
    with path.open("a") as file:
        file.write(json.dumps({"block": block, "cells": [_encode(cell) for cell in cells]}) + "\n")


def _encode(cell: Cell) -> list[int | str]:
    return [x.hex() if isinstance(x, float) else x for x in astuple(cell)]


def _decode(row: list[int | str]) -> Cell:
    return Cell(*(float.fromhex(x) if isinstance(x, str) else x for x in row))  # pyright: ignore[reportArgumentType]

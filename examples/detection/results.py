"""What is kept of a training: its scores in a CSV file, a row for each time that it was looked at,
and what it found in a file of arrays."""

import csv
import platform
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .evaluate import Detections
from .recipe import Recipe

# The table of the page.
COMMITTED = Path(__file__).with_name("results.csv")
PACKAGES = {"torch": ("torch",), "jax": ("jax", "flax", "optax")}


class Row(NamedTuple):
    """Scores of one detector after so many steps, and where they were measured. Only rows of one
    recipe can be compared."""

    recipe: str
    loss: str
    seed: int
    step: int
    ap: float
    ap50: float
    small: float
    packages: str
    machine: str


class Found(NamedTuple):
    """What a trained detector says of the test scenes, and its class logits for the first of
    them."""

    boxes: list[Detections]
    logits: np.ndarray


def read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [_row(cells) for cells in csv.DictReader(file)]


def _row(cells: dict[str, str]) -> Row:
    types = Row.__annotations__
    return Row(**{name: types[name](text) for name, text in cells.items()})


def name_of(recipe: Recipe) -> str:
    """The first digits of a hash of all its numbers."""
    return sha256(repr(recipe).encode()).hexdigest()[:8]


def read_of(path: Path, recipe: Recipe) -> list[Row]:
    """The rows of a file that is to have no others than those of a recipe."""
    rows = read(path)
    names = {row.recipe for row in rows}
    expected = name_of(recipe)
    if names - {expected}:
        got = ", ".join(sorted(names))
        advice = "Name another folder with --out."
        raise SystemExit(f"{path}: expected results of recipe {expected}, got {got}. {advice}")
    return rows


def append(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(Row._fields)
        writer.writerows(rows)


def packages(framework: str) -> str:
    names = "numpy", *PACKAGES[framework]
    return " ".join(f"{name}-{version(name)}" for name in names)


def machine() -> str:
    """The name of the processor where Linux says it, or its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def found_path(folder: Path, loss: str) -> Path:
    """focal_gamma_2.npz and the like in the folder."""
    plain = loss.replace("γ", "gamma").replace("α", "alpha")
    words = "".join(c if c.isalnum() or c == "." else " " for c in plain).split()
    return folder / f"{'_'.join(words)}.npz"


def save(path: Path, found: Found) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [np.concatenate(column) for column in zip(*found.boxes, strict=True)]
    counts = [len(one.scores) for one in found.boxes]
    boxes, labels, scores = columns
    np.savez_compressed(
        path,
        boxes=boxes,
        labels=labels,
        scores=scores,
        counts=np.array(counts),
        logits=found.logits,
    )


def load(path: Path) -> Found:
    with np.load(path) as arrays:
        ends = np.cumsum(arrays["counts"])[:-1]
        columns = [np.split(arrays[name], ends) for name in Detections._fields]
        boxes = [Detections(*one) for one in zip(*columns, strict=True)]
        return Found(boxes, arrays["logits"])

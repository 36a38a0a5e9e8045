"""The errors of losses that are split over devices and processes, in eps.

    python -m parity_tests.tests.sharding.split_table              a table, in ten minutes
    python -m parity_tests.tests.sharding.split_table --markdown   the same for a page

Every number is the worst of all cases of its row in `split.py`, and of all parts that devices have,
from the truth in float64: in eps of float32, relative to the result or to the size of the terms
whose sum it is. Rows are split unevenly, and some devices have none that counts. The exit code is 1
where one is more than a loss on one device may be.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from parity_tests.contract.tolerances import SOFTMAX

from . import ranks
from .ranks import Error
from .split import CASES, LINEAR, OF_ELEMENTS, SIGMOID


@dataclass(frozen=True)
class Column:
    """Devices for rows and for classes, in so many processes."""

    framework: str
    mesh: tuple[int, int]
    ways: tuple[str, ...]
    processes: int = 1

    @property
    def name(self) -> str:
        rows, classes = self.mesh
        name = f"{self.framework} {rows} × {classes}"
        if self.framework == "jax" and self.processes > 1:
            name += f" in {self.processes} processes"
        return name

    def errors(self) -> list[Error]:
        module = f"parity_tests.tests.sharding.split_{self.framework}"
        program = ["-m", module, *map(str, self.mesh), "--way", *self.ways]
        start = ranks.jax_processes if self.framework == "jax" else ranks.torch_ranks
        return ranks.errors(start(program, self.processes, 900))


def of_jax(rows: int, classes: int, processes: int = 1) -> Column:
    return Column("jax", (rows, classes), ("jit", "auto", "shard_map"), processes)


def of_torch(rows: int, classes: int) -> Column:
    return Column("torch", (rows, classes), ("group", "dtensor"), rows * classes)


COLUMNS = [of_jax(1, 1), of_jax(2, 1), of_jax(1, 2), of_jax(2, 4), of_jax(2, 4, processes=2)]
COLUMNS += [of_torch(1, 1), of_torch(2, 1), of_torch(1, 2), of_torch(2, 2), of_torch(4, 2)]


def row(error: Error) -> str:
    """What an error belongs to."""
    (case,) = (case for case in CASES if case.name == error.case)
    kind = "softmax, ids" if "targets" in case.arrays else "softmax, soft"
    if case.function in OF_ELEMENTS:
        kind = "sigmoid" if case.function == SIGMOID else "varifocal, heatmap, asymmetric"
    if case.function == LINEAR:
        kind = "linear softmax"
    result = "loss" if error.what == "loss" else "gradients"
    return f"{kind}: {result}"


def worst(errors: Sequence[Error]) -> dict[str, float]:
    """The largest error of each row, in one column."""
    of_rows: dict[str, list[float]] = {}
    for error in errors:
        of_rows.setdefault(row(error), []).append(error.eps)
    return {name: max(eps) for name, eps in of_rows.items()}


def rows(columns: Sequence[Column]) -> list[list[str]]:
    largest = [worst(column.errors()) for column in tqdm(columns, "split", disable=None)]
    table = []
    for name in largest[0]:
        cells = [f"{of_column[name]:.1f}" for of_column in largest]
        table.append([name, *cells])
    return table


def markdown(header: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    to_the_right = ["---:"] * (len(header) - 1)
    lines = [header, ["---", *to_the_right], *table]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def show(header: Sequence[str], table: Sequence[Sequence[str]]) -> None:
    sheet = Table(title="Errors of split losses in eps")
    first, *others = header
    sheet.add_column(first)
    for name in others:
        sheet.add_column(name, justify="right")
    for cells in table:
        sheet.add_row(*cells)
    Console().print(sheet)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m parity_tests.tests.sharding.split_table")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args(argv)
    table = rows(COLUMNS)
    header = ["result", *(column.name for column in COLUMNS), "allowed"]
    cells = [[*line, f"{SOFTMAX:g}"] for line in table]
    if options.markdown:
        print(markdown(header, cells))
    else:
        show(header, cells)
    too_large = [x for line in table for x in line[1:] if float(x) > SOFTMAX]
    return int(bool(too_large))


if __name__ == "__main__":
    sys.exit(main())

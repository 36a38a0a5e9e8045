"""The errors of losses that are split over devices and processes, in eps.

    python -m parity_tests.tests.sharding.split_table              a table for people, in ten minutes
    python -m parity_tests.tests.sharding.split_table --markdown   the same for a page

Every number is the worst of all cases of its row in `split.py`, and of all parts that devices have,
from the truth in float64: in eps of float32, relative to the result or to the size of the terms
whose sum it is. Rows are split unevenly, and some devices have none that counts. The exit code is 1
where one is more than a loss on one device may be.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from parity_tests.contract.tolerances import SOFTMAX

from . import ranks
from .ranks import Ended, Error
from .split import CASES, LINEAR, SIGMOID


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
        many = (
            f" in {self.processes} processes"
            if self.framework == "jax" and self.processes > 1
            else ""
        )
        return f"{self.framework} {rows} × {classes}{many}"

    def errors(self) -> list[Error]:
        program = [
            "-m",
            f"parity_tests.tests.sharding.split_{self.framework}",
            *map(str, self.mesh),
            "--way",
            *self.ways,
        ]
        start: Callable[[Sequence[str], int, float], list[Ended]] = {
            "jax": ranks.jax_processes,
            "torch": ranks.torch_ranks,
        }[self.framework]
        return ranks.errors(start(program, self.processes, 900))


JAX_WAYS, TORCH_WAYS = ("jit", "auto", "shard_map"), ("group", "dtensor")
COLUMNS = (
    *(Column("jax", mesh, JAX_WAYS) for mesh in ((1, 1), (2, 1), (1, 2), (2, 4))),
    Column("jax", (2, 4), JAX_WAYS, 2),
    *(
        Column("torch", mesh, TORCH_WAYS, mesh[0] * mesh[1])
        for mesh in ((1, 1), (2, 1), (1, 2), (2, 2), (4, 2))
    ),
)


def row(error: Error) -> str:
    """What an error belongs to."""
    (case,) = (case for case in CASES if case.name == error.case)
    names = {SIGMOID: "sigmoid", LINEAR: "linear softmax"}
    kind = names.get(case.function, "softmax, ids" if "targets" in case.arrays else "softmax, soft")
    return f"{kind}: {error.what if error.what == 'loss' else 'gradients'}"


def rows(columns: Sequence[Column]) -> list[list[str]]:
    found = [column.errors() for column in tqdm(columns, "split", disable=None)]
    names = dict.fromkeys(row(error) for error in found[0])
    worst = [
        [max(error.eps for error in errors if row(error) == name) for errors in found]
        for name in names
    ]
    return [[name, *(f"{x:.1f}" for x in cells)] for name, cells in zip(names, worst, strict=True)]


def markdown(header: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *table]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def show(header: Sequence[str], table: Sequence[Sequence[str]]) -> None:
    sheet = Table(title="Errors of split losses in eps")
    for name in header:
        sheet.add_column(name, justify="left" if name == header[0] else "right")
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
    return int(any(float(x) > SOFTMAX for line in table for x in line[1:]))


if __name__ == "__main__":
    sys.exit(main())

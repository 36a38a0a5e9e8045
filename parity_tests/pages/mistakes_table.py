"""The table of published mistakes: the grade that each reaches, and the layer that keeps it from
the next one.

python -m parity_tests.pages.mistakes_table                    all, for people
python -m parity_tests.pages.mistakes_table --only one_minus_p
python -m parity_tests.pages.mistakes_table --markdown         as docs/porting.md has it
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from parity_tests import tables
from parity_tests.checker.layers import grades
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import layer, layers_of, report
from parity_tests.wrong_ports import MISTAKES

HEADER = ("mistake", "function", "grade", "kept from the next one in")


class Row(NamedTuple):
    mistake: str
    function: str
    grade: str
    layer: str

    @property
    def cells(self) -> tuple[str, ...]:
        return f"`{self.mistake}`", f"`{self.function}`", self.grade, self.layer


def judged(name: str) -> Row:
    """A mistake as the command would judge it, up to the layer that keeps it from every grade:
    nothing later could lower it."""
    mistake = MISTAKES[name]
    port = build(Options(**mistake.options))
    judgements = []
    for name_of_layer in layers_of(port.plan.record):
        judgements.append(layer(port, port.plan, name_of_layer))
        if judgements[-1].kept_from == grades.SAME:
            break
    found = report(port, port.plan, judgements)
    kept_in = found.limit.layer if found.limit else ""
    return Row(name, mistake.function, grades.shown(found.grade), kept_in)


def rows(names: Sequence[str]) -> Iterator[Row]:
    for name in tqdm(names, desc="mistakes", disable=None):
        yield judged(name)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The published mistakes, graded.")
    parser.add_argument("--markdown", action="store_true", help="print a table in Markdown")
    parser.add_argument("--only", nargs="+", choices=sorted(MISTAKES), metavar="MISTAKE")
    arguments: Any = parser.parse_args(argv)
    lines = [row.cells for row in rows(arguments.only or sorted(MISTAKES))]
    if arguments.markdown:
        print(tables.markdown(HEADER, [tables.LEFT] * len(HEADER), lines))
        return 0
    table = Table(*HEADER)
    for cells in lines:
        table.add_row(*(cell.replace("`", "") for cell in cells))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

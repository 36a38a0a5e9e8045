"""The table of the page, its curves, and the paper's numbers beside them, from the results in the
repository.

    python -m examples.detection.table            average precision by loss
    python -m examples.detection.table --paper    beside those of Lin et al. 2017
"""

import csv
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from benchmarks.table import Sheet, markdown, show

from .curves import curves
from .recipe import BEFORE, LOSSES
from .results import COMMITTED, Row, read

EARLY = 500
# Tables 1a, 1b and 1d of Lin et al. 2017, arXiv:1708.02002, and of the first row what section 5.1
# says: training diverged.
PAPER = Path(__file__).with_name("paper.csv")
HEADER = ("loss", "seeds", "AP", "range", "over CE", "AP50", "AP small", "early AP")


def main() -> None:
    parser = ArgumentParser(description="average precision by loss, from stored results")
    parser.add_argument("--results", type=Path, default=COMMITTED, help="a results.csv")
    parser.add_argument("--out", type=Path, help="a folder for the curves")
    parser.add_argument("--paper", action="store_true", help="the paper's numbers beside ours")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    args = parser.parse_args()
    rows = read(args.results)
    if args.out:
        with redirect_stdout(sys.stderr):
            curves(rows, args.out)
    print_table(paper_sheet(rows) if args.paper else sheet(rows), args.markdown)


def print_table(table: Sheet, as_markdown: bool) -> None:
    if as_markdown:
        print(markdown(table))
    else:
        show(table)


def sheet(rows: list[Row]) -> Sheet:
    """A row for each loss that has a result: means over the seeds, and the smallest and the largest
    average precision."""
    last = max(row.step for row in rows)
    cells = []
    for name in LOSSES:
        if any(row.loss == name for row in rows):
            cells.append(_cells(name, rows, last))
    return Sheet(f"average precision after {last} steps", HEADER, cells, words=("loss",))


def _cells(name: str, rows: list[Row], last: int) -> list[str]:
    ends = results_of(name, rows, last)
    ap = [row.ap for row in ends]
    spread = f"{min(ap):.3f}–{max(ap):.3f}"
    gain = over_cross_entropy(ends, rows, last)
    cells = [name, str(len(ends)), mean(ap), spread, gain]
    cells.append(mean([row.ap50 for row in ends]))
    cells.append(mean([row.small for row in ends]))
    cells.append(mean([row.ap for row in results_of(name, rows, EARLY)]))
    return cells


def mean(numbers: list[float]) -> str:
    return f"{np.mean(numbers):.3f}" if numbers else "–"


def results_of(name: str, rows: list[Row], step: int) -> list[Row]:
    return [row for row in rows if row.loss == name and row.step == step]


def over_cross_entropy(ends: list[Row], rows: list[Row], last: int) -> str:
    """The mean of the difference to cross entropy, of the seeds that both have."""
    before = {row.seed: row.ap for row in results_of(BEFORE, rows, last)}
    gains = [row.ap - before[row.seed] for row in ends if row.seed in before]
    if not gains or ends[0].loss == BEFORE:
        return "–"
    return f"{np.mean(gains):+.3f}"


def paper_sheet(rows: list[Row]) -> Sheet:
    header = ("loss", "AP, COCO", "AP50, COCO", "AP, digits", "AP50, digits", "α, digits")
    with PAPER.open(newline="") as file:
        cells = [_beside(one, rows) for one in csv.DictReader(file)]
    return Sheet("Lin et al. 2017, table 1, and the digits", header, cells, words=("loss",))


def _beside(paper: dict[str, str], rows: list[Row]) -> list[str]:
    name = paper["row"]
    theirs = [paper["ap"] or "diverged", paper["ap50"] or "–"]
    ours = counterparts(name.removesuffix(", deeper network"))
    return [name, *theirs, *_best(ours, rows)]


def counterparts(name: str) -> list[str]:
    """Our losses of this name, or where it says so with any α."""
    any_alpha = name.removesuffix(", best α")
    if any_alpha == name:
        return [name]
    return [ours for ours in LOSSES if ours.partition(", α")[0] == any_alpha]


def _best(names: Sequence[str], rows: list[Row]) -> list[str]:
    """AP and AP50 in percent, and α, of that loss whose mean AP over the seeds is the largest."""
    last = max(row.step for row in rows)
    results = [(name, results_of(name, rows, last)) for name in names]
    means = [(np.mean([row.ap for row in of]), name, of) for name, of in results if of]
    if not means:
        return ["–"] * 3
    ap, name, best = max(means, key=lambda one: one[0])
    ap50 = np.mean([row.ap50 for row in best])
    alpha = LOSSES[name].alpha
    return [f"{100 * ap:.1f}", f"{100 * ap50:.1f}", "none" if alpha is None else f"{alpha:g}"]


if __name__ == "__main__":
    main()

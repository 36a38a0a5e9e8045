"""The command line, the tables, for people or for a page, and the file of the picture."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import table
from benchmarks.figure import save_figure

from . import picture
from .metrics import scores
from .rows import Results, Row

# On a narrower terminal lines wrap; in a file no cell does.
WIDTH = 120
NAMES = ("loss", "then")


def arguments(description: str | None) -> Namespace:
    parser = ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of calibration.png (default: out)"
    )
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    parser.add_argument("--quick", action="store_true", help="two seeds, hardly trained")
    return parser.parse_args()


def sheet(results: Results) -> table.Sheet:
    """Means and standard deviations over the seeds."""
    classes = results.rows[0].probabilities.shape[-1]
    right = "average precision" if classes == 2 else "accuracy"
    seeds, samples = results.labels.shape
    title = f"{results.problem}, {seeds} seeds, {samples:,} samples to judge by"
    rows = [cells(row, results.labels) for row in results.rows]
    return table.Sheet(title, (*NAMES, right, "NLL", "ECE", "T"), rows, words=NAMES)


def cells(row: Row, labels: np.ndarray) -> list[str]:
    means = [spread(column) for column in numbers(row, labels).T]
    t = "" if row.temperatures is None else spread(row.temperatures)
    return [row.loss, row.then, *means, t]


def numbers(row: Row, labels: np.ndarray) -> np.ndarray:
    """Shape (seeds, 3): the scores of each seed."""
    return np.array([scores(y, p) for y, p in zip(labels, row.probabilities, strict=True)])


def spread(values: np.ndarray) -> str:
    return f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"


def markdown(results: Results) -> str:
    of_results = sheet(results)
    return f"\n### {of_results.title}\n\n{table.markdown(of_results)}"


def pretty(results: Results) -> Table:
    of_results = sheet(results)
    lines = Table(title=of_results.title)
    for name in of_results.header:
        lines.add_column(name, justify=of_results.side(name))
    for row in of_results.rows:
        lines.add_row(*row)
    return lines


def report(problems: Sequence[Results], args: Namespace) -> None:
    width = max(Console().width, WIDTH)
    for results in problems:
        if args.markdown:
            print(markdown(results))
        else:
            Console(width=width).print(pretty(results))
    # A page takes what is printed, and names its picture itself.
    with redirect_stdout(sys.stderr if args.markdown else sys.stdout):
        save_figure(lambda: picture.figure(problems), args.out / "calibration.png")

"""The command line, the tables, for people or for a page, and the file of the picture."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.figure import save_figure

from . import picture
from .metrics import scores
from .rows import Found, Row

# On a narrower terminal lines wrap; in a file no cell does.
WIDTH = 120


def arguments(description: str | None) -> Namespace:
    parser = ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of calibration.png (default: out)"
    )
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    parser.add_argument("--quick", action="store_true", help="two seeds, hardly trained")
    return parser.parse_args()


def header(found: Found) -> list[str]:
    binary = found.rows[0].probabilities.shape[-1] == 2
    return ["loss", "then", "average precision" if binary else "accuracy", "NLL", "ECE", "T"]


def numbers(row: Row, labels: np.ndarray) -> np.ndarray:
    """Shape (seeds, 3): the scores of each seed."""
    return np.array([scores(y, p) for y, p in zip(labels, row.probabilities, strict=True)])


def spread(values: np.ndarray) -> str:
    return f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"


def cells(found: Found) -> list[list[str]]:
    """Means and standard deviations over the seeds."""
    sheet = []
    for row in found.rows:
        t = "" if row.temperatures is None else spread(row.temperatures)
        sheet.append([row.loss, row.then, *map(spread, numbers(row, found.labels).T), t])
    return sheet


def title(found: Found) -> str:
    seeds, samples = found.labels.shape
    return f"{found.problem}, {seeds} seeds, {samples:,} samples to judge by"


def markdown(found: Found) -> str:
    rule = ["---", "---", "---:", "---:", "---:", "---:"]
    lines = ("| " + " | ".join(row) + " |" for row in (header(found), rule, *cells(found)))
    return "\n".join((f"\n### {title(found)}\n", *lines))


def table(found: Found) -> Table:
    sheet = Table(title=title(found))
    for i, name in enumerate(header(found)):
        sheet.add_column(name, justify="right" if i > 1 else "left")
    for row in cells(found):
        sheet.add_row(*row)
    return sheet


def report(everything: Sequence[Found], args: Namespace) -> None:
    for found in everything:
        if args.markdown:
            print(markdown(found))
        else:
            Console(width=max(Console().width, WIDTH)).print(table(found))
    # A page takes what is printed, and names its picture itself.
    with redirect_stdout(sys.stderr if args.markdown else sys.stdout):
        save_figure(lambda: picture.figure(everything), args.out / "calibration.png")

"""The command line of both scripts: train with every loss and seed, print a table, write the
pictures."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.table import Sheet, markdown

from .evaluate import Detections, Scores, detections, scores
from .pictures import draw
from .recipe import LOSSES, QUICK, RECIPE, Arrays, Data, Loss, Recipe, Run, dataset, initial_weights

Train = Callable[[Arrays, Data, Data, Loss, Recipe, int], Run]
HEADER = ("loss", "AP", "range", "AP50", "AP small", "bg first", "bg last")
# The part that the background has in the loss is the mean over so many steps, the first and the
# last.
STEPS = 20


class Trained(NamedTuple):
    """The detectors of one seed by their losses: their runs, and the boxes in the test scenes."""

    test: Data
    runs: dict[str, Run]
    boxes: dict[str, list[Detections]]


class Result(NamedTuple):
    """Scores, and the background's part of the loss in the first steps and in the last."""

    scores: Scores
    first: float
    last: float


def main(framework: str, description: str | None, train: Train) -> None:
    args = arguments(description)
    recipe, seeds = (QUICK, 1) if args.quick else (RECIPE, args.seeds)
    # Of the other seeds only numbers are kept.
    first = trained(train, recipe, seed=0)
    results = [results_of(first)]
    for seed in range(1, seeds):
        results.append(results_of(trained(train, recipe, seed)))
    with redirect_stdout(sys.stderr):
        draw(framework, args.out, *first)
    rows = []
    for name in LOSSES:
        rows.append(row(name, [of_seed[name] for of_seed in results]))
    title = f"detection_{framework}.py, {recipe.steps} steps, seeds: {seeds}"
    show(Sheet(title, HEADER, rows, words=("loss",)), args.markdown)


def arguments(description: str | None) -> Namespace:
    parser = ArgumentParser(description=description)
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of the pictures (default: out)"
    )
    parser.add_argument(
        "--seeds", type=int, default=3, help="seeds of scenes, weights and batches (default: 3)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one seed and few steps: shows that it runs, no result"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    return parser.parse_args()


def trained(train: Train, recipe: Recipe, seed: int) -> Trained:
    weights = initial_weights(seed)
    data, test = dataset("train", recipe, seed), dataset("test", recipe, seed)
    detectors = Trained(test, {}, {})
    for name, loss in LOSSES.items():
        run = train(weights, data, test, loss, recipe, seed)
        detectors.runs[name] = run
        detectors.boxes[name] = detections(run)
    return detectors


def results_of(detectors: Trained) -> dict[str, Result]:
    results = {}
    for name, run in detectors.runs.items():
        first, last = run.shares[:STEPS].mean(), run.shares[-STEPS:].mean()
        precision = scores(detectors.test, detectors.boxes[name])
        results[name] = Result(precision, float(first), float(last))
    return results


def row(name: str, results: list[Result]) -> list[str]:
    """Means over the seeds, and the smallest and the largest average precision."""
    ap, ap50, small = np.array([one.scores for one in results]).T
    means = [f"{part.mean():.3f}" for part in (ap50, small)]
    first = np.mean([one.first for one in results])
    last = np.mean([one.last for one in results])
    precision = [f"{ap.mean():.3f}", f"{ap.min():.3f}–{ap.max():.3f}", *means]
    return [name, *precision, f"{first:.1%}", f"{last:.1%}"]


def show(sheet: Sheet, as_markdown: bool) -> None:
    if as_markdown:
        print(markdown(sheet))
        return
    # Without lines: it has to fit into 80 columns.
    table = Table(title=sheet.title, box=None, padding=(0, 1, 0, 0))
    for name in sheet.header:
        table.add_column(name, justify=sheet.side(name), no_wrap=True)
    for cells in sheet.rows:
        table.add_row(*cells)
    Console().print(table)

"""The command line of both scripts: train with every loss and seed, print a table, write the
pictures."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from .evaluate import Found, Scores, found, scores
from .pictures import draw
from .recipe import LOSSES, QUICK, RECIPE, Arrays, Data, Loss, Recipe, Run, dataset, initial_weights

Train = Callable[[Arrays, Data, Data, Loss, Recipe, int], Run]
HEADER = ("loss", "AP", "range", "AP50", "AP small", "bg first", "bg last")
# The part that the background has in the loss is the mean over so many steps, the first and the
# last.
STEPS = 20


def main(framework: str, description: str | None, train: Train) -> None:
    args = arguments(description)
    recipe, seeds = (QUICK, 1) if args.quick else (RECIPE, args.seeds)
    results, runs, test, first = results_of(train, recipe, seeds)
    with redirect_stdout(sys.stderr):
        draw(framework, args.out, test, runs, first)
    show([row(name, results[name]) for name in LOSSES], framework, recipe, seeds, args.markdown)


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


Result = tuple[Scores, float, float]


def results_of(
    train: Train, recipe: Recipe, seeds: int
) -> tuple[dict[str, list[Result]], dict[str, Run], Data, dict[str, list[Found]]]:
    """The results of each loss by seed; and of the first seed, for the pictures, runs, test scenes
    and boxes."""
    results: dict[str, list[Result]] = {name: [] for name in LOSSES}
    runs: dict[str, Run] = {}
    first: dict[str, list[Found]] = {}
    tests = []
    for seed in range(seeds):
        weights, data, test = (
            initial_weights(seed),
            dataset("train", recipe, seed),
            dataset("test", recipe, seed),
        )
        tests.append(test)
        for name, loss in LOSSES.items():
            run = train(weights, data, test, loss, recipe, seed)
            boxes = found(run)
            results[name].append(
                (
                    scores(test, boxes),
                    float(run.shares[:STEPS].mean()),
                    float(run.shares[-STEPS:].mean()),
                )
            )
            runs.setdefault(name, run)
            first.setdefault(name, boxes)
    return results, runs, tests[0], first


def row(name: str, results: list[Result]) -> list[str]:
    """Means over the seeds, and the smallest and the largest average precision."""
    found, first, last = zip(*results, strict=True)
    ap, ap50, small = np.array(found).T
    precision = (
        f"{ap.mean():.3f}",
        f"{ap.min():.3f}–{ap.max():.3f}",
        f"{ap50.mean():.3f}",
        f"{small.mean():.3f}",
    )
    return [name, *precision, f"{np.mean(first):.1%}", f"{np.mean(last):.1%}"]


def show(
    rows: Sequence[Sequence[str]], framework: str, recipe: Recipe, seeds: int, markdown: bool
) -> None:
    if markdown:
        rule = ("---", *("---:" for _ in HEADER[1:]))
        print("\n".join(f"| {' | '.join(cells)} |" for cells in (HEADER, rule, *rows)))
        return
    # Without lines: it has to fit into 80 columns.
    table = Table(
        title=f"detection_{framework}.py, {recipe.steps} steps, seeds: {seeds}",
        box=None,
        padding=(0, 1, 0, 0),
    )
    for name in HEADER:
        table.add_column(name, justify="left" if name == "loss" else "right", no_wrap=True)
    for cells in rows:
        table.add_row(*cells)
    Console().print(table)

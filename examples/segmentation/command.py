"""The command line of both scripts: train with every loss and seed, print a table, draw
pictures."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.figure import save_figure
from benchmarks.table import Sheet, markdown

from .pictures import curve_figure, scene_figure
from .recipe import LOSSES, QUICK, RECIPE, Answers, Data, Loss, Recipe, Run, dataset
from .scores import Scores, by_step

Train = Callable[[dict[str, Data], Loss, Recipe, int], Run]
PARTS = ("train", *Answers._fields)
HEADER = ("loss", "IoU", "range", "at 0.5", "threshold", "early IoU")


def main(framework: str, description: str | None, train: Train) -> None:
    args = arguments(description)
    recipe, seeds = (QUICK, 1) if args.quick else (RECIPE, args.seeds)
    curves: dict[str, list[dict[int, Scores]]] = {name: [] for name in LOSSES}
    # Messages are not part of the table.
    with redirect_stdout(sys.stderr):
        for seed in range(seeds):
            parts = {part: dataset(part, recipe, seed) for part in PARTS}
            answers = {}
            for name, loss in LOSSES.items():
                run = train(parts, loss, recipe, seed)
                curves[name].append(by_step(run, parts))
                answers[name] = run.answers[recipe.steps]
            if seed == 0:
                path = args.out / f"segmentation_{framework}.png"
                save_figure(partial(scene_figure, parts, answers), path)
        path = args.out / f"segmentation_{framework}_curves.png"
        save_figure(partial(curve_figure, curves), path)
    rows = [row(name, of_seeds) for name, of_seeds in curves.items()]
    title = f"segmentation_{framework}.py, {recipe.steps} steps, seeds: {seeds}"
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


def row(name: str, of_seeds: list[dict[int, Scores]]) -> list[str]:
    """Means over the seeds, and the smallest and the largest number."""
    first, last = min(of_seeds[0]), max(of_seeds[0])
    at_best, at_half, threshold = np.array([of_seed[last] for of_seed in of_seeds]).T
    spread = f"{at_best.min():.3f}–{at_best.max():.3f}"
    # As a score, of the mean logit.
    score = 1 / (1 + np.exp(-threshold.mean()))
    early = np.mean([of_seed[first].at_best for of_seed in of_seeds])
    cells = [name, f"{at_best.mean():.3f}", spread]
    return [*cells, f"{at_half.mean():.3f}", f"{score:.2f}", f"{early:.3f}"]


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

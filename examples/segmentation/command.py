"""The command line of both scripts: train with every loss and seed, print a table, draw
pictures."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np
from scipy.special import expit

from benchmarks.figure import save_figure
from benchmarks.table import Sheet, markdown, show

from .pictures import curve_figure, scene_figure
from .recipe import LOSSES, QUICK, RECIPE, Answers, Data, Loss, Recipe, Run, dataset
from .scores import Scores, by_step

Train = Callable[[dict[str, Data], Loss, Recipe, int], Run]
PARTS = ("train", *Answers._fields)
HEADER = ("loss", "IoU", "range", "at 0.5", "threshold", "early IoU")
MOST_SEEDS = 100


def main(framework: str, description: str | None, train: Train) -> None:
    args = arguments(description)
    recipe = QUICK if args.quick else RECIPE
    seeds = 1 if args.quick else args.seeds
    name = f"segmentation_{framework}" + ("_quick" if args.quick else "")
    curves: dict[str, list[dict[int, Scores]]] = {loss: [] for loss in LOSSES}
    # Messages are not part of the table.
    with redirect_stdout(sys.stderr):
        for seed in range(seeds):
            parts = {part: dataset(part, recipe, seed) for part in PARTS}
            answers = train_all(train, parts, recipe, seed, curves)
            if seed == 0:
                save_figure(partial(scene_figure, parts, answers), args.out / f"{name}.png")
        save_figure(partial(curve_figure, curves), args.out / f"{name}_curves.png")
    rows = [row(loss, of_seeds) for loss, of_seeds in curves.items()]
    table = Sheet(f"{name}, {recipe.steps} steps, seeds: {seeds}", HEADER, rows, words=("loss",))
    if args.markdown:
        print(markdown(table))
    else:
        show(table)


def train_all(
    train: Train,
    parts: dict[str, Data],
    recipe: Recipe,
    seed: int,
    curves: dict[str, list[dict[int, Scores]]],
) -> dict[str, Answers]:
    """The last answers with each loss; what all of them score is added to the curves."""
    answers = {}
    for name, loss in LOSSES.items():
        run = train(parts, loss, recipe, seed)
        curves[name].append(by_step(run, parts))
        answers[name] = run.answers[recipe.steps]
    return answers


def arguments(description: str | None) -> Namespace:
    parser = ArgumentParser(description=description)
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of the pictures (default: out)"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        choices=range(1, MOST_SEEDS + 1),
        default=3,
        metavar="N",
        help=f"seeds of scenes, weights and batches, 1 to {MOST_SEEDS} (default: 3)",
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
    score = expit(threshold.mean())
    early = np.mean([of_seed[first].at_best for of_seed in of_seeds])
    cells = [name, f"{at_best.mean():.3f}", spread]
    return [*cells, f"{at_half.mean():.3f}", f"{score:.2f}", f"{early:.3f}"]

"""The command line of both scripts: train with some losses and seeds, print a table, draw
pictures."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from ..weights import Arrays
from .curves import curves
from .evaluate import detections, scores
from .network import initial_weights
from .pictures import SAMPLE, draw
from .recipe import FEW, LOSSES, QUICK, RECIPE, SHORT, Data, Loss, Recipe, Run, dataset
from .results import (
    Found,
    Row,
    append,
    found_path,
    machine,
    name_of,
    packages,
    read_of,
    save,
)
from .table import print_table, sheet

Train = Callable[[Arrays, Data, Data, Loss, Recipe, int], Run]
RESULTS = "results.csv"
MOST_SEEDS = 100


def main(framework: str, description: str | None, train: Train) -> None:
    args = arguments(description)
    recipe, suffix = recipe_of(args)
    out = args.out or Path("out", f"detection_{framework}{suffix}")
    results = out / RESULTS
    read_of(results, recipe)
    if args.quick:
        # It shows that everything runs, and so it trains every time.
        results.unlink(missing_ok=True)
    names = args.loss or (LOSSES if args.all else FEW)
    with redirect_stdout(sys.stderr):
        for seed in range(args.seeds):
            train_missing(framework, train, recipe, list(names), seed, out)
        rows = read_of(results, recipe)
        curves(rows, out)
        draw(dataset("test", recipe, 0), out, out)
    print_table(sheet(rows), args.markdown)


def arguments(description: str | None) -> Namespace:
    parser = ArgumentParser(description=description)
    parser.add_argument(
        "--out", type=Path, help="folder of results and pictures (default: out/detection_…)"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--loss", action="append", choices=list(LOSSES), help="one loss; may be repeated"
    )
    which.add_argument("--all", action="store_true", help="all losses, not three of them")
    parser.add_argument(
        "--seeds",
        type=int,
        choices=range(1, MOST_SEEDS + 1),
        default=1,
        metavar="N",
        help=f"seeds of scenes, weights and batches, 1 to {MOST_SEEDS} (default: 1)",
    )
    parser.add_argument(
        "--box-weight",
        type=float,
        default=RECIPE.box_weight,
        metavar="W",
        help=f"the part that the loss of the boxes has (default: {RECIPE.box_weight})",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--short", action="store_true", help=f"{SHORT.steps} steps instead of {RECIPE.steps}"
    )
    length.add_argument(
        "--quick", action="store_true", help="few steps: shows that it runs, no result"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    return parser.parse_args()


def recipe_of(args: Namespace) -> tuple[Recipe, str]:
    """The recipe that was asked for, and what the name of its folder ends with."""
    recipe, suffix = RECIPE, ""
    if args.short:
        recipe, suffix = SHORT, "_short"
    if args.quick:
        recipe, suffix = QUICK, "_quick"
    return replace(recipe, box_weight=args.box_weight), suffix


def train_missing(
    framework: str, train: Train, recipe: Recipe, names: list[str], seed: int, out: Path
) -> None:
    """Train with each loss that has no result of this seed yet, and write its result at once."""
    results = out / RESULTS
    there = {row.loss for row in read_of(results, recipe) if row.seed == seed}
    missing = [name for name in names if name not in there]
    if not missing:
        return
    weights = initial_weights(recipe, seed)
    data, test = dataset("train", recipe, seed), dataset("test", recipe, seed)
    for name in missing:
        print(f"{name}, seed {seed}", flush=True)
        run = train(weights, data, test, LOSSES[name], recipe, seed)
        rows = list(rows_of(framework, recipe, name, seed, test, run))
        if seed == 0:
            last = run.answers[recipe.steps]
            save(found_path(out, name), Found(detections(last), last.logits[:SAMPLE]))
        append(results, rows)
        print(f"AP {rows[-1].ap:.3f}", flush=True)


def rows_of(
    framework: str, recipe: Recipe, name: str, seed: int, test: Data, run: Run
) -> Iterator[Row]:
    for step, answers in run.answers.items():
        ap, ap50, small = (round(x, 4) for x in scores(test, detections(answers)))
        where = packages(framework), machine()
        yield Row(name_of(recipe), name, seed, step, ap, ap50, small, *where)

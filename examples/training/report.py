"""The command line of the training scripts: the same options in, the same table and file out."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from .caravan import Arrays, save, scores

Run = tuple[np.ndarray, np.ndarray]


def parser(description: str | None) -> ArgumentParser:
    made = ArgumentParser(description=description)
    made.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of all files (default: out)"
    )
    made.add_argument(
        "--dtype", choices=("float32", "float64"), default="float64", help="default: float64"
    )
    return made


def arguments(description: str | None) -> Namespace:
    return parser(description).parse_args()


def curves_path(out: Path, framework: str, dtype: str) -> Path:
    return out / f"curves_{framework}_{dtype}.npz"


def report(framework: str, runs: dict[str, Run], targets: np.ndarray, args: Namespace) -> None:
    """Write the loss curves and held-out probabilities of all losses, one per row, and print their
    scores."""
    curves, probabilities = (np.stack(part) for part in zip(*runs.values(), strict=True))
    path = curves_path(args.out, framework, args.dtype)
    save(path, {"losses": np.array(list(runs)), "curves": curves, "probabilities": probabilities})
    by_loss = dict(zip(runs, probabilities, strict=True))
    table = score_table(f"train_{framework}.py, {args.dtype}", by_loss, targets)
    Console().print(table, f"wrote {path}", sep="\n")


def score_table(title: str, probabilities: dict[str, np.ndarray], targets: np.ndarray) -> Table:
    table = Table("loss", title=title)
    for name in ("average precision", "ROC AUC", "calibration error"):
        table.add_column(name, justify="right")
    for loss, p in probabilities.items():
        numbers = [f"{score:.4f}" for score in scores(targets, p)]
        table.add_row(loss, *numbers)
    return table


def report_split(framework: str, curves: Arrays, empty: float, args: Namespace) -> None:
    """Write the curves of batches that are split, and print how far each is from the first curve.
    `empty` is the share of parts without a positive."""
    path = curves_path(args.out, framework, args.dtype)
    save(path, {"runs": np.array(list(curves)), "curves": np.stack(list(curves.values()))})
    table = difference_table(f"train_{framework}.py, {args.dtype}", curves)
    parts = f"parts of a batch without a positive: {empty:.1%}"
    Console().print(table, parts, f"wrote {path}", sep="\n")


def difference_table(title: str, curves: Arrays) -> Table:
    table = Table("run", title=title)
    for name in ("first loss", "last loss", "relative difference"):
        table.add_column(name, justify="right")
    reference, *_ = curves.values()
    for name, curve in curves.items():
        difference = np.max(np.abs(curve - reference) / reference)
        table.add_row(name, f"{curve[0]:.6f}", f"{curve[-1]:.6f}", f"{difference:.1e}")
    return table

"""The command line of the training scripts: the same options in, the same table and file out."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from .caravan import save, scores

Run = tuple[np.ndarray, np.ndarray]


def arguments(description: str | None) -> Namespace:
    parser = ArgumentParser(description=description)
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of all files (default: out)"
    )
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), default="float64", help="default: float64"
    )
    return parser.parse_args()


def curves_path(out: Path, framework: str, dtype: str) -> Path:
    return out / f"curves_{framework}_{dtype}.npz"


def report(framework: str, runs: dict[str, Run], targets: np.ndarray, args: Namespace) -> None:
    """Write the loss curves and held-out probabilities of all losses, one per row, and print their
    scores."""
    curves, probabilities = (np.stack(part) for part in zip(*runs.values(), strict=True))
    path = curves_path(args.out, framework, args.dtype)
    save(path, {"losses": np.array(list(runs)), "curves": curves, "probabilities": probabilities})
    table = score_table(
        f"train_{framework}.py, {args.dtype}", dict(zip(runs, probabilities, strict=True)), targets
    )
    Console().print(table, f"wrote {path}", sep="\n")


def score_table(title: str, probabilities: dict[str, np.ndarray], targets: np.ndarray) -> Table:
    table = Table("loss", title=title)
    for name in ("average precision", "ROC AUC", "calibration error"):
        table.add_column(name, justify="right")
    for loss, p in probabilities.items():
        table.add_row(loss, *(f"{score:.4f}" for score in scores(targets, p)))
    return table

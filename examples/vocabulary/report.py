"""The command line, the table, and the file of the curve."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.process import MIB

from ..training.caravan import save
from .recipe import Attempt, Recipe

NUMBERS = ("temporaries", "measured", "first loss", "last loss", "right", "then")


def arguments(description: str | None) -> Namespace:
    parser = ArgumentParser(description=description)
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of the curve (default: out)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer words and classes")
    return parser.parse_args()


def report(attempts: dict[str, Attempt], recipe: Recipe, facts: str, out: Path) -> None:
    """Write the curve of the fused loss, and print what became of both."""
    path = out / "curve_large_vocabulary.npz"
    save(path, {"curve": attempts["fused"].curve})
    refused = attempts["unfused"].refused
    Console().print(table(attempts, recipe), facts, refused, f"wrote {path}", sep="\n")


def table(attempts: dict[str, Attempt], recipe: Recipe) -> Table:
    limit = f"in at most {recipe.limit // MIB} MiB"
    sheet = Table("loss", title=f"{recipe.batch:,} words a step, {limit}")
    for name in NUMBERS:
        sheet.add_column(name, justify="right", no_wrap=True)
    for name, one in attempts.items():
        sheet.add_row(name, f"{one.temporaries / MIB:.0f} MiB", *trained(one))
    return sheet


def trained(one: Attempt) -> list[str]:
    if one.refused:
        return ["refused"]
    first, last = one.curve[[0, -1]]
    losses = [f"{first:.3f}", f"{last:.3f}"]
    return [f"{one.held / MIB:.0f} MiB", *losses, f"{one.before:.1%}", f"{one.after:.1%}"]

"""The options that the commands share."""

import argparse
import re
from pathlib import Path

from .cases import Group
from .peers import Contender
from .timing import LEAST


def parser(name: str, about: str | None, budget: float) -> argparse.ArgumentParser:
    """`about` is the docstring of the command."""
    first, _, details = (about or "").partition("\n")
    as_written = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(name, None, first, details, formatter_class=as_written)
    made.add_argument(
        "--budget",
        type=float,
        default=budget,
        metavar="SECONDS",
        help="for the repetitions of each; default %(default)g",
    )
    made.add_argument("--quick", action="store_true", help="one round, with small shapes")
    made.add_argument("--markdown", action="store_true", help="print Markdown tables")
    return made


def repetitions(args: argparse.Namespace) -> tuple[float, int]:
    """Seconds, and the rounds that there are at least."""
    return (0, 1) if args.quick else (args.budget, LEAST)


def add_choice(made: argparse.ArgumentParser) -> None:
    """For the commands that time contenders."""
    made.add_argument(
        "--only", type=_pattern, default="", metavar="REGEX", help='"case, mode, dtype: contender"'
    )
    made.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of all files (default: %(default)s)"
    )


def matches(only: re.Pattern[str], group: Group, contender: Contender) -> bool:
    return only.search(f"{group.name}: {contender.label}") is not None


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None

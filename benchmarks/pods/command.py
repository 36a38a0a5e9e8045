"""Compile a head that is split over many chips that are not there, and judge what they store and
send.

    python -m benchmarks.pods
    python -m benchmarks.pods --platform tpu --quick
    python -m benchmarks.pods --markdown --out docs/pods.png

The head is focal_jax.linear_softmax_focal_loss with its gradients; a mesh of data × model splits
its rows and classes. XLA's own compilers make the programs; nothing is run. Every slice and every
bound is in `benchmarks/pods/cases.py`. The exit code is 1 where a requirement is broken, with a
line for each.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.aot.devices import MissingCompilerError, require
from benchmarks.aot.process import CompilerError, printed

from . import table
from .cases import SLICES, pods
from .verdict import Measurement, failures, growth, read


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    platforms = [args.platform] if args.platform else list(SLICES)
    try:
        measured = compiled(platforms, args.quick)
    except (MissingCompilerError, CompilerError) as error:
        print(f"benchmarks.pods: {error}", file=sys.stderr)
        return 2
    _print(args, measured)
    if args.out:
        _draw(measured, args.out)
    broken = verdict(measured)
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


def verdict(measured: Sequence[Measurement]) -> list[str]:
    """A line for every requirement that is broken; nothing is required of the broken programs."""
    lines = [line for one in measured if one.pod.is_ours for line in failures(one)]
    return [*lines, *growth(measured)]


def _parser() -> argparse.ArgumentParser:
    about, _, details = (__doc__ or "").partition("\n")
    command = "python -m benchmarks.pods"
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(command, None, about, details, formatter_class=as_written)
    parser.add_argument("--platform", choices=tuple(SLICES), help="default: both")
    parser.add_argument("--quick", action="store_true", help="a few slices in one dtype")
    parser.add_argument(
        "--out", type=Path, metavar="PATH", help="draw the picture of all slices there, as a PNG"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a list with all that was measured")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    return parser


def compiled(platforms: Sequence[str], quick: bool) -> list[Measurement]:
    """What the programs for the slices of these platforms do."""
    require(platforms)
    counts = [_count(platform, quick) for platform in platforms]
    bar = tqdm(desc="compile", total=sum(counts), unit="program", disable=None)
    with bar, ThreadPoolExecutor(len(platforms)) as pool:
        parts = list(pool.map(lambda platform: _compile(platform, quick, bar), platforms))
    return [one for part in parts for one in part]


def _count(platform: str, quick: bool) -> int:
    return len(list(pods(platform, quick)))


def _compile(platform: str, quick: bool, bar: Any) -> list[Measurement]:
    command = ["benchmarks.pods.compile", platform]
    if quick:
        command.append("--quick")
    return [read(line) for line in printed(platform, command, _count(platform, quick), bar)]


def _print(args: argparse.Namespace, measured: Sequence[Measurement]) -> None:
    if args.json:
        print(json.dumps([asdict(one) for one in measured], indent=2))
    elif args.markdown:
        print(table.markdown(measured))
    else:
        table.show(measured)


def _draw(measured: Sequence[Measurement], path: Path) -> None:
    # matplotlib is imported only where there is something to draw. What it prints must not get into
    # the table.
    from . import picture

    with redirect_stdout(sys.stderr):
        picture.save(measured, path)

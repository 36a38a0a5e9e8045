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
    options = _parser().parse_args(argv)
    try:
        found = compiled([options.platform] if options.platform else list(SLICES), options.quick)
    except (MissingCompilerError, CompilerError) as error:
        print(f"benchmarks.pods: {error}", file=sys.stderr)
        return 2
    _print(options, found)
    if options.out:
        _draw(found, options.out)
    broken = verdict(found)
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


def verdict(found: Sequence[Measurement]) -> list[str]:
    """A line for every requirement that is broken; nothing is required of the broken programs."""
    return [line for one in found if one.pod.is_ours for line in failures(one)] + list(
        growth(found)
    )


def _parser() -> argparse.ArgumentParser:
    about, _, details = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        "python -m benchmarks.pods",
        None,
        about,
        details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    total = sum(len(list(pods(platform, quick))) for platform in platforms)
    bar = tqdm(desc="compile", total=total, unit="program", disable=None)
    with bar, ThreadPoolExecutor(len(platforms)) as pool:
        parts = list(pool.map(lambda platform: _compile(platform, quick, bar), platforms))
    return [one for part in parts for one in part]


def _compile(platform: str, quick: bool, bar: Any) -> list[Measurement]:
    arguments = ["benchmarks.pods.compile", platform, *["--quick"] * quick]
    programs = len(list(pods(platform, quick)))
    return [read(line) for line in printed(platform, arguments, programs, bar)]


def _print(options: argparse.Namespace, found: Sequence[Measurement]) -> None:
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    elif options.markdown:
        print(table.markdown(found))
    else:
        table.show(found)


def _draw(found: Sequence[Measurement], path: Path) -> None:
    # matplotlib only where there is something to draw, and its word not into the table.
    from . import picture

    with redirect_stdout(sys.stderr):
        picture.save(found, path)

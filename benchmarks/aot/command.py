"""Compile the losses for GPUs and TPUs that are not there, and judge the memory that the programs
move.

    python -m benchmarks.aot
    python -m benchmarks.aot --platform tpu --device v5e v6e
    python -m benchmarks.aot --quick --json

XLA's own compilers for GPU and TPU make the programs; nothing is run, and no accelerator is needed.
Every case and every bound is in `benchmarks/aot/cases.py`. The exit code is 1 where a requirement
is broken, with a line for each.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from . import table
from .cases import OURS, selection
from .devices import DEVICES, MissingCompilerError, require
from .process import CompilerError, printed
from .verdict import Measurement, failures, read


def main(argv: list[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    devices = _devices(args)
    if not devices:
        parser.error(f"no device of platform {args.platform} is among {' '.join(args.device)}")
    try:
        measured = compiled(devices, args.quick)
    except (MissingCompilerError, CompilerError) as error:
        print(f"benchmarks.aot: {error}", file=sys.stderr)
        return 2
    _print(args, measured, [name for names in devices.values() for name in names])
    broken = [line for one in measured if one.case.by == OURS for line in failures(one)]
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    about, _, details = (__doc__ or "").partition("\n")
    command = "python -m benchmarks.aot"
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(command, None, about, details, formatter_class=as_written)
    names = [name for devices in DEVICES.values() for name in devices]
    parser.add_argument("--platform", choices=tuple(DEVICES), help="default: both")
    parser.add_argument(
        "--device", nargs="+", choices=names, metavar="NAME", help=f"default: {' '.join(names)}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="each case for one device of a platform only"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a list with all that was measured")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    return parser


def _devices(args: argparse.Namespace) -> dict[str, list[str]]:
    """The chosen devices of each platform that has any."""
    chosen = {}
    for platform, names in DEVICES.items():
        here = [name for name in names if name in (args.device or names)]
        if here and args.platform in (None, platform):
            chosen[platform] = here
    return chosen


def compiled(devices: Mapping[str, Sequence[str]], quick: bool) -> list[Measurement]:
    """What the programs for these devices of each platform do."""
    require(devices)
    counts = [_count(names, quick) for names in devices.values()]
    bar = tqdm(desc="compile", total=sum(counts), unit="program", disable=None)

    def of_platform(platform: str) -> list[Measurement]:
        return _compile(platform, devices[platform], quick, bar)

    with bar, ThreadPoolExecutor(len(devices)) as pool:
        parts = list(pool.map(of_platform, devices))
    return [one for part in parts for one in part]


def _count(names: Sequence[str], quick: bool) -> int:
    return len(list(selection(names, quick)))


def _compile(platform: str, names: Sequence[str], quick: bool, bar: Any) -> list[Measurement]:
    command = ["benchmarks.aot.compile", platform, *names]
    if quick:
        command.append("--quick")
    return [read(line) for line in printed(platform, command, _count(names, quick), bar)]


def _print(args: argparse.Namespace, measured: Sequence[Measurement], names: Sequence[str]) -> None:
    if args.json:
        print(json.dumps([asdict(one) for one in measured], indent=2))
    elif args.markdown:
        print(table.markdown(measured, names))
    else:
        table.show(measured, names)

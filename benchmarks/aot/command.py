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
    options = parser.parse_args(argv)
    devices = _devices(options)
    if not devices:
        parser.error(
            f"no device of platform {options.platform} is among {' '.join(options.device)}"
        )
    try:
        found = compiled(devices, options.quick)
    except (MissingCompilerError, CompilerError) as error:
        print(f"benchmarks.aot: {error}", file=sys.stderr)
        return 2
    _print(options, found, [name for names in devices.values() for name in names])
    broken = [line for one in found if one.case.by == OURS for line in failures(one)]
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    about, _, details = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        "python -m benchmarks.aot",
        None,
        about,
        details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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


def _devices(options: argparse.Namespace) -> dict[str, list[str]]:
    """The chosen devices of each platform that has any."""
    chosen = {
        platform: [name for name in names if name in (options.device or names)]
        for platform, names in DEVICES.items()
        if options.platform in (None, platform)
    }
    return {platform: names for platform, names in chosen.items() if names}


def compiled(devices: Mapping[str, Sequence[str]], quick: bool) -> list[Measurement]:
    """What the programs for these devices of each platform do."""
    require(devices)
    total = sum(len(list(selection(names, quick))) for names in devices.values())
    bar = tqdm(desc="compile", total=total, unit="program", disable=None)
    with bar, ThreadPoolExecutor(len(devices)) as pool:
        parts = list(
            pool.map(lambda platform: _compile(platform, devices[platform], quick, bar), devices)
        )
    return [one for part in parts for one in part]


def _compile(platform: str, names: Sequence[str], quick: bool, bar: Any) -> list[Measurement]:
    arguments = ["benchmarks.aot.compile", platform, *names, *["--quick"] * quick]
    programs = len(list(selection(names, quick)))
    return [read(line) for line in printed(platform, arguments, programs, bar)]


def _print(options: argparse.Namespace, found: Sequence[Measurement], names: Sequence[str]) -> None:
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    elif options.markdown:
        print(table.markdown(found, names))
    else:
        table.show(found, names)

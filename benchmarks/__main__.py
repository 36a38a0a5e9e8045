"""Time the losses beside their peers, all in one run: what they cost, and whether that is what is
required.

    python -m benchmarks                         everything, in a quarter of an hour
    python -m benchmarks --requirements          only the times that something is required of
    python -m benchmarks --only 'LLM.*focal_'    what a pattern finds in "case, mode, dtype: contender"
    python -m benchmarks --quick                 all of the code with small shapes, in a minute

It prints tables, and writes a picture, the times of every round, and their medians and quartiles.
The exit code is 1 where something that is required is not met; but 0 with --markdown, which makes a
page, and with --quick, since nothing is required of small shapes.
"""

import argparse
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pandas as pd

from . import machine, options, picture, report
from .cases import CASES, LARGEST, QUICK, Group, groups
from .peers import CONTENDERS, Contender
from .requirements import NEEDED, is_judged, judge
from .timing import SEED, Plan, run
from .work import takes_part

# With less memory the largest case is left out: beside its arguments it needs what the worst
# contender keeps.
ENOUGH = 16 * 2**30
# A group that something is required of has so many times the budget of another.
JUDGED = 4


def main(argv: list[str] | None = None) -> int:
    asked = _options(argv)
    machine.use_all_cores()
    todo = plan(asked.quick, asked.only, asked.requirements)
    if not todo:
        print("benchmarks: no case, mode, dtype and contender fits these options", file=sys.stderr)
        return 2
    seconds, least = options.repetitions(asked)
    times = run(todo, lambda group: seconds * (JUDGED if is_judged(group) else 1), least)
    verdicts, cases = judge(times), QUICK if asked.quick else CASES
    with redirect_stdout(sys.stderr):
        write(times, asked.out)
        picture.save(times, cases, asked.picture or asked.out / "benchmarks.png")
    report.show(_head(asked.quick), report.sheets(times, cases, verdicts), asked.markdown)
    return int(any(verdict.broken for verdict in verdicts) and not (asked.quick or asked.markdown))


def _head(quick: bool) -> list[str]:
    peak = f"seed {SEED}; at most {machine.peak_memory() / 2**30:.1f} GiB held"
    return [*machine.description(), peak, *["small shapes: nothing is required of them"] * quick]


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = options.parser("benchmarks", __doc__, budget=10)
    options.add_choice(parser)
    parser.add_argument(
        "--requirements", action="store_true", help="only what the requirements need"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="default: benchmarks.png in the folder"
    )
    return parser.parse_args(argv)


def plan(quick: bool, only: re.Pattern[str], required: bool) -> Plan:
    """The contenders of every group that has any."""

    def wanted(group: Group, contender: Contender) -> bool:
        place = (group.case.name, group.mode, group.dtype, contender.label)
        fits = takes_part(contender, group.mode) and only.search(f"{group.name}: {contender.label}")
        return bool(fits and (place in NEEDED or not required))

    everything = (
        (group, [c for c in CONTENDERS[group.case.loss] if wanted(group, c)])
        for group in groups(quick)
    )
    return [(group, chosen) for group, chosen in everything if chosen and _has_room(group)]


def _has_room(group: Group) -> bool:
    fits = group.case is not LARGEST or machine.memory() >= ENOUGH
    if not fits:
        print(
            f"benchmarks: {group.name} is left out, it needs {ENOUGH / 2**30:.0f} GiB",
            file=sys.stderr,
        )
    return fits


def write(times: pd.DataFrame, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in {"rounds": times, "medians": report.summary(times)}.items():
        frame.to_csv(folder / f"benchmarks_{name}.csv", index=False)
        print(f"wrote {folder / f'benchmarks_{name}.csv'}")


if __name__ == "__main__":
    sys.exit(main())

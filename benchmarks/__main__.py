"""Time the losses beside their peers, all in one run: what they cost, and whether that is what is
required.

    python -m benchmarks                         everything, in a quarter of an hour
    python -m benchmarks --requirements          only the times that something is required of
    python -m benchmarks --only 'LLM.*focal_'    a pattern for "case, mode, dtype: contender"
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
    args = _options(argv)
    machine.use_all_cores()
    todo = plan(args.quick, args.only, args.requirements)
    if not todo:
        print("benchmarks: no case, mode, dtype and contender fits these options", file=sys.stderr)
        return 2
    seconds, least = options.repetitions(args)
    times = run(todo, lambda group: seconds * (JUDGED if is_judged(group) else 1), least)
    verdicts = judge(times)
    cases = QUICK if args.quick else CASES
    with redirect_stdout(sys.stderr):
        write(times, args.out)
        picture.save(times, cases, args.picture or args.out / "benchmarks.png")
    report.show(_head(args.quick), report.sheets(times, cases, verdicts), args.markdown)
    broken = any(verdict.broken for verdict in verdicts)
    return int(broken and not (args.quick or args.markdown))


def _head(quick: bool) -> list[str]:
    held = machine.peak_memory() / 2**30
    lines = [*machine.description(), f"seed {SEED}; at most {held:.1f} GiB held"]
    if quick:
        lines.append("small shapes: nothing is required of them")
    return lines


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

    def is_wanted(group: Group, contender: Contender) -> bool:
        place = (group.case.name, group.mode, group.dtype, contender.label)
        if required and place not in NEEDED:
            return False
        return takes_part(contender, group.mode) and options.matches(only, group, contender)

    todo = []
    for group in groups(quick):
        contenders = CONTENDERS[group.case.loss]
        chosen = [contender for contender in contenders if is_wanted(group, contender)]
        if chosen and _has_room(group):
            todo.append((group, chosen))
    return todo


def _has_room(group: Group) -> bool:
    if group.case is not LARGEST or machine.memory() >= ENOUGH:
        return True
    needed = f"it needs {ENOUGH / 2**30:.0f} GiB"
    print(f"benchmarks: {group.name} is left out, {needed}", file=sys.stderr)
    return False


def write(times: pd.DataFrame, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in {"rounds": times, "medians": report.summary(times)}.items():
        path = folder / f"benchmarks_{name}.csv"
        frame.to_csv(path, index=False)
        print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main())

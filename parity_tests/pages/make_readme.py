"""Run the commands that the tables of the pages come from, and put their output where the pages
name them.

    python -m parity_tests.pages.make_readme         the tables of the README
    python -m parity_tests.pages.make_readme NAME    those of other pages

The first makes what this environment has all packages for.

`audit` and `aot` need the extras of these names; `pods` needs `aot`, too, and ten minutes. `sweep`
takes an hour, `bench` half an hour on a machine that does nothing else, `gpu` five minutes where
there is a GPU or TPU, `sharding` ten (several devices and processes), `calibration` two (networks
trained with five seeds, and their picture), `segmentation` an hour (the same with three seeds),
`versions` half an hour (the oldest versions, the newest and some between), and `mistakes` five
minutes (each published mistake, through all layers that can lower its grade).
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
TABLE = re.compile(r"<!-- begin: (?P<command>.*?) -->\n(?P<text>.*?)<!-- end -->", re.S)
COMMAND = "focal-parity "
# Tables that are made when they are asked for, by the beginnings of their commands.
ASKED_FOR = {
    "audit": (f"{COMMAND}audit",),
    "sweep": (f"{COMMAND}sweep",),
    "bench": ("benchmarks ", "benchmarks.scaling ", "benchmarks.vocabulary "),
    "vocabulary": ("benchmarks.vocabulary ",),
    "gpu": ("benchmarks.accelerator ",),
    "aot": ("benchmarks.aot ",),
    "pods": ("benchmarks.pods ",),
    "calibration": ("examples.calibration_jax ",),
    "segmentation": ("examples.segmentation_torch ",),
    "sharding": ("parity_tests.tests.sharding.split_table ",),
    "versions": ("parity_tests.versions ",),
    "mistakes": ("parity_tests.pages.mistakes_table ",),
}


def tables(text: str) -> dict[str, str]:
    """Command -> the table that stands below it."""
    return {match["command"]: match["text"] for match in TABLE.finditer(text)}


def run(command: str) -> str:
    if command.startswith(COMMAND):
        command = "parity_tests.checker.cli " + command.removeprefix(COMMAND)
    program = [sys.executable, "-m", *shlex.split(command)]
    # Messages go to the terminal, and the output to the page.
    settings: dict[str, Any] = {"cwd": ROOT, "stdout": subprocess.PIPE, "text": True}
    done = subprocess.run(program, **settings, check=True, timeout=4 * 3600)
    return done.stdout.strip("\n") + "\n"


def wanted(command: str, kind: str) -> bool:
    if kind:
        return command.startswith(ASKED_FOR[kind])
    return not any(command.startswith(beginnings) for beginnings in ASKED_FOR.values())


def main(kind: str) -> None:
    def fresh(match: re.Match[str]) -> str:
        command = match["command"]
        if not wanted(command, kind):
            return match[0]
        return f"<!-- begin: {command} -->\n{run(command)}<!-- end -->"

    for page in PAGES:
        text = TABLE.sub(fresh, page.read_text())
        page.write_text(text)


if __name__ == "__main__":
    main("".join(sys.argv[1:2]))

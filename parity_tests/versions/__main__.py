"""Run tests and a smoke of all transformations with the oldest versions, the newest, and some
between.

python -m parity_tests.versions                  all pairs, each in an environment of its own
python -m parity_tests.versions --pair oldest    one of them, or several
python -m parity_tests.versions --only-run       in this environment
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import environments
from .pairs import FRAMEWORKS, ROOT, Pair, pairs
from .table import PAGE, Row, disagreements, markdown

SMOKES = ("smoke_torch", "smoke_jax")
VERSIONS = (
    f"from importlib.metadata import version; from platform import python_version; "
    f"print(python_version(), *map(version, {FRAMEWORKS}))"
)
LIMIT = 1800


def done(python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What became of a module, in an environment, with this checkout."""
    settings = {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}
    # Else each import of a compiler starts processes of its own.
    settings["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    options: dict[str, Any] = {"cwd": ROOT, "env": os.environ | settings, "timeout": LIMIT}
    return subprocess.run([python, *arguments], capture_output=True, text=True, **options)


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "nothing was printed"


def tests(python: str) -> str:
    """The last line of pytest for the quick tier, without the time."""
    # Warnings are those of other versions.
    options = ["-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default", "--disable-warnings"]
    ended = done(python, "-m", "pytest", "parity_tests/tests", "--tier=quick", *options)
    summary = last_line(ended.stdout or ended.stderr)
    return re.sub(r"(, \d+ (deselected|warnings?))* in .*", "", summary)


def smoke(python: str, name: str) -> dict[str, str]:
    """The outcome of each check, and of the whole if it ended before its last one."""
    framework = name.removeprefix("smoke_")
    ended = done(python, "-m", f"parity_tests.versions.{name}")
    lines = re.findall(r"^(.*?): (ok|needs .*|FAILED .*)$", ended.stdout, re.M)
    outcomes = {f"{framework}, {check}": text for check, text in lines}
    failed = any(text.startswith("FAILED") for text in outcomes.values())
    if ended.returncode and not failed:
        outcomes[f"{framework}, the end"] = f"FAILED {last_line(ended.stderr)}"
    return outcomes


def run(name: str, python: str) -> Row:
    """Two at a time, as for two cores."""
    printed = done(python, "-c", VERSIONS)
    if printed.returncode:
        raise environments.MissingError(last_line(printed.stderr))
    numbers = printed.stdout.split()
    versions: dict[str, str] = dict(zip(("python", *FRAMEWORKS), numbers, strict=True))
    outcomes: dict[str, str] = {}
    with ThreadPoolExecutor(2) as pool:
        smokes = [pool.submit(smoke, python, name) for name in SMOKES]
        passed = pool.submit(tests, python)
        for running in smokes:
            outcomes |= running.result()
        return Row(name, versions, passed.result(), outcomes)


def run_all(chosen: dict[str, Pair]) -> tuple[list[Row], list[str]]:
    """The rows of the pairs, and why others have none."""
    rows, faults = list[Row](), list[str]()
    for name, pair in chosen.items():
        try:
            rows.append(run(name, environments.python_of(name, pair)))
        except (environments.MissingError, subprocess.TimeoutExpired) as error:
            faults.append(f"{name}: {error}")
    return rows, faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m parity_tests.versions", description=__doc__)
    option = parser.add_argument
    option("--pair", action="append", choices=list(pairs()), help="all, if none is named")
    option("--only-run", action="store_true", help="in this environment, without making one")
    option("--markdown", action="store_true", help="the table of docs/versions.md alone")
    options = parser.parse_args()
    names = options.pair or pairs()
    chosen = {name: pair for name, pair in pairs().items() if name in names}
    if options.only_run:
        rows, faults = [run("here", sys.executable)], []
    else:
        rows, faults = run_all(chosen)
    print(markdown(rows))
    for row in rows:
        faults += [f"{row.name}: {text}" for text in row.failures()]
    if not options.markdown:
        pyproject = (ROOT / "pyproject.toml").read_text()
        faults += disagreements(pyproject, PAGE.read_text())
    for fault in faults:
        print(fault, file=sys.stderr)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())

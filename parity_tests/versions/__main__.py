"""Run tests and a smoke of all transformations with the oldest versions, the newest, and some
between.

python -m parity_tests.versions                  all pairs, each in an environment of its own, which is made
python -m parity_tests.versions --pair oldest    one of them, or several
python -m parity_tests.versions --only-run       in this environment
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

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
    environment = os.environ | settings
    return subprocess.run(
        [python, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing was printed"])[-1]


def tests(python: str) -> str:
    """The last line of pytest for the quick tier, without the time."""
    # Warnings are those of other versions.
    options = ["-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default", "--disable-warnings"]
    found = done(python, "-m", "pytest", "parity_tests/tests", "--tier=quick", *options)
    return re.sub(
        r"(, \d+ (deselected|warnings?))* in .*", "", last_line(found.stdout or found.stderr)
    )


def smoke(python: str, name: str) -> dict[str, str]:
    """The outcome of each check, and of the whole if it ended before its last one."""
    framework, found = (
        name.removeprefix("smoke_"),
        done(python, "-m", f"parity_tests.versions.{name}"),
    )
    lines = re.findall(r"^(.*?): (ok|needs .*|FAILED .*)$", found.stdout, re.M)
    outcomes = {f"{framework}, {check}": text for check, text in lines}
    failed = any(text.startswith("FAILED") for text in outcomes.values())
    if found.returncode and not failed:
        outcomes[f"{framework}, the end"] = f"FAILED {last_line(found.stderr)}"
    return outcomes


def run(name: str, python: str) -> Row:
    """Two at a time, as for two cores."""
    asked = done(python, "-c", VERSIONS)
    if asked.returncode:
        raise environments.MissingError(last_line(asked.stderr))
    numbers = asked.stdout.split()
    with ThreadPoolExecutor(2) as pool:
        smokes = [pool.submit(smoke, python, name) for name in SMOKES]
        passed = pool.submit(tests, python)
        found = {check: text for ended in smokes for check, text in ended.result().items()}
        return Row(
            name, dict(zip(("python", *FRAMEWORKS), numbers, strict=True)), passed.result(), found
        )


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
    parser.add_argument(
        "--pair", action="append", choices=list(pairs()), help="all, if none is named"
    )
    parser.add_argument(
        "--only-run", action="store_true", help="in this environment, without making one"
    )
    parser.add_argument(
        "--markdown", action="store_true", help="the table of docs/versions.md alone"
    )
    options = parser.parse_args()
    chosen = {name: pair for name, pair in pairs().items() if name in (options.pair or pairs())}
    if options.only_run:
        rows, faults = [run("here", sys.executable)], []
    else:
        rows, faults = run_all(chosen)
    print(markdown(rows))
    faults += [f"{row.name}: {text}" for row in rows for text in row.failures()]
    if not options.markdown:
        faults += disagreements((ROOT / "pyproject.toml").read_text(), PAGE.read_text())
    print(*faults, sep="\n", end="\n" * bool(faults), file=sys.stderr)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())

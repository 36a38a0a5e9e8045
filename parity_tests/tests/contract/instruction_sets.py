"""The layers from values to parity with the instruction sets of other processors, on this one.

    python -m parity_tests.tests.contract.instruction_sets

XLA compiles for the processor that it finds, and ATen chooses among what was compiled for it. Here
both, and numpy, are told to do with less. The table has a row for each set, and the exit code is 1
where one is red. A set that this processor lacks is its own once more.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from subprocess import PIPE
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from parity_tests.tests import ROOT

from .exact_calls import extensions

NAMES = ("2_values", "3_derivatives", "4_masks", "4_special", "5_identities", "6_parity")
# Arguments of pytest: the layers as `make test` has them.
LAYERS = ("--tier=test", *(f"parity_tests/tests/layers/test_{name}.py" for name in NAMES))
# A set takes minutes, on a machine with other things to do a quarter of an hour.
SECONDS = 1800.0
# XLA has no float16 where a processor has no F16C: x.astype(float16) alone is refused with these
# words, for want of `__extendhfsf2`. All that XLA calls AVX and more has it.
WITHOUT_FLOAT16 = ("SSE4_2",)
REFUSAL = "Failed to materialize symbols"
MAX_ISA = "--xla_cpu_max_isa="
# XLA's name of a set, and ATen's; nothing leaves both what they are.
SETS = {"SSE4_2": "default", "AVX": "default", "AVX2": "avx2", "": ""}
OWN = "its own"


class Verdict(NamedTuple):
    xla: str
    aten: str
    passed: int
    refused: int
    failed: tuple[str, ...]
    seconds: float
    words: str

    @property
    def green(self) -> bool:
        return self.passed > 0 and not self.words

    @property
    def names(self) -> tuple[str, str]:
        return self.xla or OWN, self.aten or OWN

    def line(self) -> str:
        xla, aten = self.names
        counts = f"{self.passed} passed, {self.refused} refused, {len(self.failed)} failed"
        return f"XLA {xla}, ATen {aten}: {counts} in {self.seconds:.0f} s"


def environment(xla: str, aten: str) -> Mapping[str, str]:
    """That of a process which has this set alone. The smallest one is that of numpy, too."""
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    for name in ("ATEN_CPU_CAPABILITY", "NPY_DISABLE_CPU_FEATURES"):
        env.pop(name, None)
    flags = env.get("XLA_FLAGS", "").split()
    flags = [flag for flag in flags if not flag.startswith(MAX_ISA)]
    if xla:
        flags.append(f"{MAX_ISA}{xla}")
        env["ATEN_CPU_CAPABILITY"] = aten
    env["XLA_FLAGS"] = " ".join(flags)
    if aten == "default":
        env["NPY_DISABLE_CPU_FEATURES"] = " ".join(extensions())
    return env


def judge(
    xla: str, aten: str, tests: Sequence[str] = LAYERS, seconds: float = SECONDS, workers: int = 0
) -> Verdict:
    """Run these tests in a process of their own, which has this set."""
    options = ["-q", "-p", "no:cacheprovider", "--tb=line"]
    if workers:
        options += ["-n", str(workers), "--dist", "worksteal"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    env = environment(xla, aten)
    words = ""
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=PIPE, text=True, timeout=seconds)
        text = done.stdout
        if done.returncode != 0:
            words = f"pytest ended with {done.returncode}"
    except subprocess.TimeoutExpired as error:
        text = _text(error.stdout)
        words = f"no end within {seconds:g} s"
    return read(xla, aten, text, words, time.monotonic() - start)


def read(xla: str, aten: str, text: str, words: str, took: float) -> Verdict:
    """What pytest printed, with a line for every failure, and how it ended."""
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", text, re.M)
    refusals = re.findall(rf"^\S+: .*{REFUSAL}", text, re.M)
    all_float16 = all(re.search(r"(?:\[|-)float16(?:\]|-)", name) for name in failed)
    # A test that is refused float16 is no failure: no set of this kind has it.
    if failed and xla in WITHOUT_FLOAT16 and all_float16 and len(refusals) == len(failed):
        failed.clear()
        words = ""
    count = re.search(r"(\d+) passed", text)
    passed = int(count[1]) if count else 0
    return Verdict(xla, aten, passed, len(refusals), tuple(failed), took, words)


def _text(output: bytes | str | None) -> str:
    if isinstance(output, bytes):
        return output.decode(errors="replace")
    return output or ""


def table(verdicts: Sequence[Verdict]) -> Table:
    pretty = Table("XLA", "ATen", "passed", "refused", "failed", "seconds", "verdict")
    for verdict in verdicts:
        counts = map(str, (verdict.passed, verdict.refused, len(verdict.failed)))
        colour = "green" if verdict.green else "red"
        pretty.add_row(*verdict.names, *counts, f"{verdict.seconds:.0f}", colour)
    return pretty


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    sets = [*SETS, "own"]
    parser.add_argument("--set", choices=sets, action="append", help="only this set")
    parser.add_argument("--workers", type=int, default=0, help="processes for a set")
    parser.add_argument("tests", nargs="*", default=LAYERS, help="other tests than the layers")
    args = parser.parse_args(arguments)
    verdicts: list[Verdict] = []
    for name in args.set or SETS:
        xla = "" if name == "own" else name
        verdict = judge(xla, SETS[xla], args.tests, workers=args.workers)
        print(verdict.line(), file=sys.stderr, flush=True)
        verdicts.append(verdict)
    Console().print(table(verdicts))
    red = [verdict for verdict in verdicts if not verdict.green]
    for verdict in red:
        print(f"{verdict.names[0]}: {verdict.words}", *verdict.failed, sep="\n")
    return int(bool(red))


if __name__ == "__main__":
    sys.exit(main())

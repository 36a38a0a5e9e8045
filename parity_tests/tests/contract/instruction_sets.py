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

NAMES = ("2_values", "3_derivatives", "4_special", "5_identities", "6_parity")
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

    def line(self) -> str:
        counts = f"{self.passed} passed, {self.refused} refused, {len(self.failed)} failed"
        return f"XLA {self.xla or 'its own'}, ATen {self.aten or 'its own'}: {counts} in {self.seconds:.0f} s"


def environment(xla: str, aten: str) -> Mapping[str, str]:
    """That of a process which has this set alone. The smallest one is that of numpy, too."""
    chosen = ("ATEN_CPU_CAPABILITY", "NPY_DISABLE_CPU_FEATURES")
    env = {name: value for name, value in os.environ.items() if name not in chosen}
    env |= {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    flags = [
        flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(MAX_ISA)
    ]
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
    options += ["-n", str(workers), "--dist", "worksteal"] if workers else []
    command = [sys.executable, "-m", "pytest", *options, *tests]
    env, start = environment(xla, aten), time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=PIPE, text=True, timeout=seconds)
        text, words = done.stdout, f"pytest ended with {done.returncode}" * (done.returncode != 0)
    except subprocess.TimeoutExpired as error:
        text, words = _text(error.stdout), f"no end within {seconds:g} s"
    return read(xla, aten, text, words, time.monotonic() - start)


def read(xla: str, aten: str, text: str, words: str, took: float) -> Verdict:
    """What pytest printed, with a line for every failure, and how it ended."""
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", text, re.M)
    known = [
        name
        for name in failed
        if xla in WITHOUT_FLOAT16 and re.search(r"(?:\[|-)float16(?:\]|-)", name)
    ]
    refusals = len(re.findall(rf"^\S+: .*{REFUSAL}", text, re.M))
    if failed and known == failed and refusals == len(failed):
        failed, words = [], ""
    count = re.search(r"(\d+) passed", text)
    passed = int(count[1]) if count else 0
    return Verdict(xla, aten, passed, refusals, tuple(failed), took, words)


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def table(verdicts: Sequence[Verdict]) -> Table:
    pretty = Table("XLA", "ATen", "passed", "refused", "failed", "seconds", "verdict")
    for verdict in verdicts:
        counts = map(str, (verdict.passed, verdict.refused, len(verdict.failed)))
        says = "green" if verdict.green else "red"
        names = (verdict.xla or "its own", verdict.aten or "its own")
        pretty.add_row(*names, *counts, f"{verdict.seconds:.0f}", says)
    return pretty


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", choices=[*SETS, "own"], action="append", help="only this set")
    parser.add_argument("--workers", type=int, default=0, help="processes for a set")
    parser.add_argument("tests", nargs="*", default=LAYERS, help="other tests than the layers")
    given = parser.parse_args(arguments)
    chosen = ["" if name == "own" else name for name in given.set or SETS]
    verdicts = []
    for xla in chosen:
        verdicts.append(judge(xla, SETS[xla], given.tests, workers=given.workers))
        print(verdicts[-1].line(), file=sys.stderr, flush=True)
    Console().print(table(verdicts))
    for verdict in (verdict for verdict in verdicts if not verdict.green):
        print("\n".join([f"{verdict.xla or 'its own'}: {verdict.words}", *verdict.failed]))
    return int(not all(verdict.green for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())

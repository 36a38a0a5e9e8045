"""A compiler in a process of its own, which prints a line of JSON for each program."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import IO, Any

ROOT = Path(__file__).parents[2]
# Seconds for the compilers to start, and for each program. One takes a few, on a machine that does
# nothing else.
START, PROGRAM = 120, 60
# TPU: not to ask the cloud where it is, and not to mind another process with the compiler.
SETTINGS = {"JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}


class CompilerError(Exception):
    """A compiling process that did not end well."""


def printed(platform: str, arguments: Sequence[str], programs: int, bar: Any) -> Iterator[Any]:
    """What a module with these arguments prints about so many programs, as it comes."""
    limit = START + PROGRAM * programs
    command = [sys.executable, "-m", *arguments]
    count = 0
    with tempfile.TemporaryFile("w+") as words, started(command, words, limit) as process:
        for line in process.stdout or ():
            count += 1
            yield json.loads(line)
            bar.update()
        code = process.wait()
        if code:
            words.seek(0)
            ended = f"after {count} programs with exit code {code}; it is given {limit} seconds"
            raise CompilerError(
                f"the {platform.upper()} process ended {ended}. It said:\n{words.read()}"
            )


@contextmanager
def started(
    command: Sequence[str], words: IO[str], limit: float
) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended after `limit` seconds."""
    environment = os.environ | SETTINGS
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=words, text=True, cwd=ROOT, env=environment
    )
    clock = Timer(limit, process.kill)
    clock.start()
    try:
        yield process
    finally:
        clock.cancel()
        process.kill()
        process.communicate()

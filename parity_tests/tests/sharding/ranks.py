"""Processes that compute losses together, or one with several devices: started at once, and ended
within a limit."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from parity_tests.tests import ROOT


class Ended(NamedTuple):
    code: int
    out: str
    err: str


class Error(NamedTuple):
    """What `split_jax` and `split_torch` print of one result, in eps."""

    case: str
    way: str
    what: str
    eps: float


@contextmanager
def reserved() -> Iterator[int]:
    """A port that nobody listens to, and that no other test is given until the end."""
    with socket.socket() as held:
        # Those who ask for this port by its number, with these options, may listen to it meanwhile.
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            held.setsockopt(socket.SOL_SOCKET, option, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def jax_processes(program: Sequence[str], processes: int = 1, seconds: float = 300) -> list[Ended]:
    """A program of JAX, or so many that find each other."""
    with reserved() as port:
        others = ["--of", str(processes), "--port", str(port)]
        each = [["--process", str(i), *others] if processes > 1 else [] for i in range(processes)]
        return together([[*program, *more] for more in each], [{}] * processes, seconds)


def torch_ranks(program: Sequence[str], ranks: int, seconds: float = 300) -> list[Ended]:
    """Ranks that find each other as those of torchrun do, whose workers would outlive it."""
    with reserved() as port:
        shared = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        settings = [shared | {"RANK": str(i)} for i in range(ranks)]
        return together([program] * ranks, settings, seconds)


def together(
    programs: Sequence[Sequence[str]], settings: Sequence[Mapping[str, str]], seconds: float
) -> list[Ended]:
    """Programs of Python, all of which have ended when this returns."""
    limit = time.monotonic() + seconds
    with ExitStack() as stack:
        files = [
            (stack.enter_context(TemporaryFile("w+")), stack.enter_context(TemporaryFile("w+")))
            for _ in programs
        ]
        started = [
            stack.enter_context(_started(program, setting, *pair))
            for program, setting, pair in zip(programs, settings, files, strict=True)
        ]
        codes = [process.wait(max(0.0, limit - time.monotonic())) for process in started]
        return [Ended(code, *map(_read, pair)) for code, pair in zip(codes, files, strict=True)]


@contextmanager
def _started(
    program: Sequence[str], settings: Mapping[str, str], out: IO[str], err: IO[str]
) -> Iterator[subprocess.Popen[str]]:
    command, environment = [sys.executable, *program], os.environ | settings
    process = subprocess.Popen(
        command, stdout=out, stderr=err, text=True, cwd=ROOT, env=environment
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def errors(ended: Sequence[Ended]) -> list[Error]:
    """All that was printed by processes that ended well. Gloo has lines of its own."""
    for one in ended:
        assert one.code == 0, one.err
    found = [line for one in ended for line in one.out.splitlines() if line.startswith('["')]
    return [Error(*json.loads(line)) for line in found]

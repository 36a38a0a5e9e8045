"""Processes that compute losses together, or one with several devices: started at once, and ended
within a limit."""

import argparse
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


def parser_of(
    program: str, ways: Sequence[str], devices: str, cases: int
) -> argparse.ArgumentParser:
    """The command line that `split_jax` and `split_torch` share."""
    parser = argparse.ArgumentParser(prog=f"python -m parity_tests.tests.sharding.{program}")
    mesh_help = f"{devices} for rows, and for classes"
    parser.add_argument("mesh", nargs=2, type=int, metavar="N", help=mesh_help)
    parser.add_argument("--way", nargs="*", choices=ways, default=ways)
    numbers = range(cases)
    parser.add_argument("--case", type=int, nargs="*", default=numbers, help="numbers of cases")
    local_help = "divide by what is local, which is wrong"
    parser.add_argument("--local", action="store_true", help=local_help)
    return parser


def show(error: Error) -> None:
    rounded = error._replace(eps=round(error.eps, 3))
    print(json.dumps(rounded), flush=True)


def errors(ended: Sequence[Ended]) -> list[Error]:
    """All that was printed by processes that ended well. Gloo has lines of its own."""
    lines = []
    for one in ended:
        assert one.code == 0, one.err
        lines += one.out.splitlines()
    return [Error(*json.loads(line)) for line in lines if line.startswith('["')]


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
    if processes == 1:
        return together([program], [{}], seconds)
    with reserved() as port:
        others = ["--of", str(processes), "--port", str(port)]
        programs = [[*program, "--process", str(i), *others] for i in range(processes)]
        return together(programs, [{}] * processes, seconds)


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
        processes, outputs = [], []
        for program, setting in zip(programs, settings, strict=True):
            out = stack.enter_context(TemporaryFile("w+"))
            err = stack.enter_context(TemporaryFile("w+"))
            process = stack.enter_context(_started(program, setting, out, err))
            processes.append(process)
            outputs.append((out, err))
        # All are waited for before any output is read.
        for process in processes:
            seconds_left = limit - time.monotonic()
            process.wait(max(0.0, seconds_left))
        ended = []
        for process, (out, err) in zip(processes, outputs, strict=True):
            ended.append(Ended(process.returncode, _read(out), _read(err)))
        return ended


@contextmanager
def _started(
    program: Sequence[str], settings: Mapping[str, str], out: IO[str], err: IO[str]
) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, *program]
    environment = os.environ | settings
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

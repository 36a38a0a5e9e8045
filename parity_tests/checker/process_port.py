"""A port in any language: a process that reads questions as lines of JSON, and answers each with a line.

docs/protocol.md describes what the lines hold. Processes are run as POSIX has them.
"""

import itertools
import json
import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self

import numpy as np

from ..problems import Problem
from ..tolerances import DTYPES
from . import questions
from .contract import VERSION
from .subject import GRADIENT, SECOND, VALUE, BadPortError, Plan, PortError, RefusedError, along, logit_names

PROTOCOL = 1
RESULTS = {"loss": VALUE, "logits": GRADIENT, "logits logits": SECOND}
BLOCK, LONGEST = 1 << 16, 1 << 24
# Seconds that a port has to end by itself at the end of its input.
GRACE = 1.0


def parse_results(results: Any, names: list[str], order: int, dtype: str) -> np.ndarray:
    """The loss, its gradient in the logits `names`, or its Hessian, of shape (), (C,) or (C, C), from hex floats."""
    if not isinstance(results, Mapping):
        raise PortError(f"results are {_short(results)}, not an object such as {{'loss': '0x1.8p+1'}}")
    keys = list(itertools.product(names, repeat=order))
    found = np.array([_number(results, key) for key in keys])
    with np.errstate(all="ignore"):
        other = ~((found == found.astype(DTYPES[dtype]).astype(float)) | np.isnan(found))
    if other.any():
        where = int(other.argmax())
        raise PortError(f"{_name(keys[where])} is {found[where].hex()}, not a number of {dtype}: round results to it")
    return found.reshape((len(names),) * order)


def _number(results: Mapping[str, Any], key: tuple[str, ...]) -> float:
    """One number by its name; a second derivative may have its two logits in either order."""
    text = results.get(_name(key), results.get(_name(key[::-1])))
    if text is None:
        raise PortError(f"results have no {_name(key)!r}, only {', '.join(map(repr, results)) or 'nothing'}")
    with suppress(ValueError, OverflowError):
        # Without its 0x a decimal would be read as another number.
        if isinstance(text, str) and ("0x" in text.lower() or text.strip("+-")[:1].lower() in ("i", "n")):
            return float.fromhex(text)
    raise PortError(f'{_name(key)} is {_short(text)}, not a hex float such as "0x1.8p+1": %a in C, float.hex in Python')


def _name(key: tuple[str, ...]) -> str:
    return " ".join(key) or "loss"


def _short(value: Any) -> str:
    """A value on one line, for a message."""
    text = " ".join(str(value).split())
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise PortError(f"line {_short(line)} is not JSON: print nothing but answers on stdout") from None
    if not isinstance(found, dict):
        raise PortError(f"line {_short(line)} is not a JSON object")
    return found


def _compact(record: Mapping[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"))


class Run:
    """One run of a command: lines in, as many lines out, and nothing left of it when it is stopped."""

    def __init__(self, command: list[str], limit: float) -> None:
        pipe = subprocess.PIPE
        self.popen = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True)
        assert self.popen.stdin and self.popen.stdout and self.popen.stderr
        self.pipes = (self.popen.stdin, self.popen.stdout, self.popen.stderr)
        self.stdin, self.stdout, self.stderr = (pipe.fileno() for pipe in self.pipes)
        self.open = [self.stdout, self.stderr]
        self.limit, self.lines, self.waiting, self.unread, self.words = limit, 0, b"", b"", b""
        for end in (self.stdin, self.stdout, self.stderr):
            os.set_blocking(end, False)

    def ask(self, lines: list[str]) -> Iterator[str]:
        """The answer to each line. All are written while answers are read, so that neither side waits for ever."""
        self.waiting += "".join(f"{line}\n" for line in lines).encode()
        for _ in lines:
            deadline = time.monotonic() + self.limit
            while b"\n" not in self.unread:
                self._move(deadline)
            line, _, self.unread = self.unread.partition(b"\n")
            self.lines += 1
            yield line.decode(errors="replace")

    def _move(self, deadline: float) -> None:
        """Write and read what the pipes take and have."""
        left = deadline - time.monotonic()
        readable, writable, _ = select.select(self.open, [self.stdin] if self.waiting else [], [], max(left, 0))
        if left <= 0 or not (readable or writable):
            raise PortError(self._silence())
        if self.stderr in readable:
            self._listen()
        if self.stdout in readable:
            block = os.read(self.stdout, BLOCK)
            self.unread += block
            if not block or len(self.unread) > LONGEST:
                raise PortError(self._ending() if not block else f"a line is longer than {LONGEST} bytes")
        if writable:
            try:
                self.waiting = self.waiting[os.write(self.stdin, self.waiting) :]
            except BrokenPipeError:
                self.waiting = b""

    def _listen(self) -> None:
        block = os.read(self.stderr, BLOCK)
        self.words = (self.words + block)[-BLOCK:]
        if not block:
            self.open.remove(self.stderr)

    def _silence(self) -> str:
        if self.popen.poll() is not None:
            return self._ending()
        said = f"no answer within {self.limit:g} s, {self._when()}: flush stdout after every line"
        return f"{said}, or allow more time{self._last_words()}"

    def _ending(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(GRACE)
        code = self.popen.poll()
        how = "closed its stdout" if code is None else f"ended with exit code {code}"
        if code is not None and code < 0:
            how = f"was ended by signal {-code} ({signal.strsignal(-code)})"
        return f"the port {how} {self._when()}{self._last_words()}"

    def _when(self) -> str:
        return f"after {self.lines - 1} answers" if self.lines else "before it answered the first line"

    def _last_words(self) -> str:
        """The end of stderr, or the last line that speaks of an error: many languages put a trace below it."""
        with suppress(BlockingIOError):
            self.words += os.read(self.stderr, BLOCK)
        lines = [line for line in self.words.decode(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if "rror" in line or "panic" in line] or lines
        return f"; its last words: {' '.join(telling[-1].split())[:200]}" if telling else ""

    def stop(self, grace: float) -> None:
        """End its input, and kill what is left of it and of what it started."""
        self.pipes[0].close()
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(grace)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        for pipe in self.pipes:
            pipe.close()

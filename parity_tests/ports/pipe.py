"""A command that is run to answer lines with lines, as POSIX has processes."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

from .subject import PortError

BLOCK, LONGEST = 1 << 16, 1 << 20
# Seconds that a process has to end by itself at the end of its input.
GRACE = 1.0


class Process:
    """One run of a command: lines in, as many lines out, and nothing left of it when it is
    stopped."""

    def __init__(self, command: list[str], limit: float) -> None:
        pipe = subprocess.PIPE
        self.popen = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True
        )
        self.pipes = [x for x in (self.popen.stdin, self.popen.stdout, self.popen.stderr) if x]
        self.stdin, self.stdout, self.stderr = (pipe.fileno() for pipe in self.pipes)
        for end in (self.stdin, self.stdout, self.stderr):
            os.set_blocking(end, False)
        self.sources = [self.stdout, self.stderr]
        self.waiting, self.unread, self.words = b"", b"", b""
        self.limit, self.lines = limit, 0

    def ask(self, lines: list[str]) -> Iterator[str]:
        """The answer to each line. Questions are written while answers are read, so neither side
        waits for ever."""
        self.waiting += "".join(f"{line}\n" for line in lines).encode()
        for _ in lines:
            deadline = time.monotonic() + self.limit
            while b"\n" not in self.unread:
                self._move(deadline)
            line, _, self.unread = self.unread.partition(b"\n")
            self.lines += 1
            yield line.decode(errors="replace")

    def _move(self, deadline: float) -> None:
        """Read what the pipes have, and write what they take."""
        left = deadline - time.monotonic()
        readable, writable, _ = select.select(
            self.sources, [self.stdin] if self.waiting else [], [], max(left, 0)
        )
        if left <= 0 or not (readable or writable):
            raise PortError(self._silence())
        if self.stderr in readable:
            self._listen()
        if self.stdout in readable:
            self._read()
        if writable:
            try:
                self.waiting = self.waiting[os.write(self.stdin, self.waiting) :]
            except BrokenPipeError:
                self.waiting = b""

    def _read(self) -> None:
        block = os.read(self.stdout, BLOCK)
        self.unread += block
        if not block:
            raise PortError(self._ending())
        if len(self.unread) > LONGEST:
            raise PortError(
                f"the port wrote {LONGEST} bytes without a line end {self._when()}: one line per answer"
            )

    def _listen(self) -> None:
        block = os.read(self.stderr, BLOCK)
        self.words = (self.words + block)[-BLOCK:]
        if not block:
            self.sources.remove(self.stderr)

    def _silence(self) -> str:
        if self.popen.poll() is not None:
            return self._ending()
        said = f"no answer within {self.limit:g} s {self._when()}: flush stdout after every line, or raise --time-limit"
        return f"{said}{self._last_words()}"

    def _ending(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(GRACE)
        code = self.popen.poll()
        how = "closed its stdout" if code is None else f"ended with exit code {code}"
        if code is not None and code < 0:
            how = f"was ended by signal {-code} ({signal.strsignal(-code)})"
        return f"the port {how} {self._when()}{self._last_words()}"

    def _when(self) -> str:
        """How far it came. The first line of all answers the handshake."""
        answers = "1 answer" if self.lines == 2 else f"{self.lines - 1} answers"
        return f"after {answers}" if self.lines else "before it answered the handshake"

    def _last_words(self) -> str:
        """The last line of stderr that speaks of an error, or the last one: many languages put a
        trace below it."""
        with suppress(BlockingIOError):
            self.words += os.read(self.stderr, BLOCK)
        lines = [line for line in self.words.decode(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if "rror" in line or "panic" in line] or lines
        return f"; its last words: {' '.join(telling[-1].split())[:200]}" if telling else ""

    def stop(self, grace: float = 0.0) -> None:
        """End its input, then kill what is left of it and of the processes that it started."""
        self.pipes[0].close()
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(grace)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        for pipe in self.pipes:
            pipe.close()

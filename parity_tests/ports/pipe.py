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
        ends = (self.popen.stdin, self.popen.stdout, self.popen.stderr)
        self.pipes = [end for end in ends if end]
        self.stdin, self.stdout, self.stderr = (pipe.fileno() for pipe in self.pipes)
        for end in (self.stdin, self.stdout, self.stderr):
            os.set_blocking(end, False)
        # What select waits for; stderr leaves it when the process closes it.
        self.sources = [self.stdout, self.stderr]
        # Bytes for its stdin, bytes of its stdout that are no whole line, the newest of its stderr.
        self.unwritten = b""
        self.unread = b""
        self.errors = b""
        self.limit = limit
        # How many lines it has answered.
        self.lines = 0

    def ask(self, lines: list[str]) -> Iterator[str]:
        """The answer to each line. Questions are written while answers are read, so neither side
        waits for ever."""
        text = "".join(f"{line}\n" for line in lines)
        self.unwritten += text.encode()
        for _ in lines:
            deadline = time.monotonic() + self.limit
            while b"\n" not in self.unread:
                self._move(deadline)
            line, _, self.unread = self.unread.partition(b"\n")
            self.lines += 1
            yield line.decode(errors="replace")

    def _move(self, deadline: float) -> None:
        """Read what the pipes have, and write what they take."""
        seconds = deadline - time.monotonic()
        targets = [self.stdin] if self.unwritten else []
        readable, writable, _ = select.select(self.sources, targets, [], max(seconds, 0))
        if seconds <= 0 or not (readable or writable):
            raise PortError(self._silence())
        if self.stderr in readable:
            self._read_errors()
        if self.stdout in readable:
            self._read_answers()
        if writable:
            self._write()

    def _write(self) -> None:
        try:
            written = os.write(self.stdin, self.unwritten)
        except BrokenPipeError:
            # Reading will say how the process ended.
            self.unwritten = b""
        else:
            self.unwritten = self.unwritten[written:]

    def _read_answers(self) -> None:
        block = os.read(self.stdout, BLOCK)
        self.unread += block
        if not block:
            raise PortError(self._ending())
        if len(self.unread) > LONGEST:
            raise PortError(
                f"the port wrote {LONGEST} bytes without a line end {self._when()}: "
                "one line per answer"
            )

    def _read_errors(self) -> None:
        block = os.read(self.stderr, BLOCK)
        self.errors = (self.errors + block)[-BLOCK:]
        if not block:
            self.sources.remove(self.stderr)

    def _silence(self) -> str:
        if self.popen.poll() is not None:
            return self._ending()
        return (
            f"no answer within {self.limit:g} s {self._when()}: "
            f"flush stdout after every line, or raise --time-limit{self._last_error()}"
        )

    def _ending(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(GRACE)
        code = self.popen.poll()
        if code is None:
            how = "closed its stdout"
        elif code < 0:
            how = f"was ended by signal {-code} ({signal.strsignal(-code)})"
        else:
            how = f"ended with exit code {code}"
        return f"the port {how} {self._when()}{self._last_error()}"

    def _when(self) -> str:
        """How far it came. The first line of all answers the handshake."""
        if not self.lines:
            return "before it answered the handshake"
        count = self.lines - 1
        return "after 1 answer" if count == 1 else f"after {count} answers"

    def _last_error(self) -> str:
        """The last line of stderr that speaks of an error, or the last one: many languages put a
        trace below it."""
        with suppress(BlockingIOError):
            self.errors += os.read(self.stderr, BLOCK)
        text = self.errors.decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        if not lines:
            return ""
        errors = [line for line in lines if "rror" in line or "panic" in line]
        last = (errors or lines)[-1]
        return f"; its last words: {' '.join(last.split())[:200]}"

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

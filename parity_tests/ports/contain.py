"""What a port may do beside answering: raise anything, print, end the process."""

import contextlib
import io
import os
import re
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

from .subject import BadPortError, PortError, RefusedError, UnsupportedError

_end_process = os._exit
# A port that prints does so in each of thousands of calls.
SHOWN = 5


# Seconds that each answer of a port may take, if there is a limit.
_limit: list[float] = []


@contextlib.contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """End the check where an answer takes longer; what a C library does is waited for."""
    if seconds is None:
        yield
        return

    def late(*_: object) -> NoReturn:
        raise BadPortError(
            f"an answer of the port took longer than {seconds:g} s: raise --time-limit, or choose "
            "fewer questions by --layer"
        )

    before = signal.signal(signal.SIGALRM, late)
    _limit.append(seconds)
    try:
        yield
    finally:
        _limit.pop()
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _within_limit() -> Iterator[None]:
    if not _limit:
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, _limit[-1])
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class FirstLines(io.TextIOBase):
    """What a port prints, on stderr, where it is apart from the report: the first lines."""

    def __init__(self) -> None:
        self.left = SHOWN

    def write(self, text: str) -> int:
        lines = text.splitlines(keepends=True)
        for line in lines[: self.left]:
            sys.stderr.write(line)
        ended = text.count("\n")
        if self.left > 0 and ended >= self.left:
            sys.stderr.write("… what the port prints from here on is left out\n")
        self.left = max(self.left - ended, 0)
        return len(text)


_prints = FirstLines()


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Run code of the port: its errors are PortErrors, and it ends no process."""
    try:
        with contextlib.redirect_stdout(_prints), _process_goes_on(), _within_limit():
            yield
    except (PortError, BadPortError):
        raise
    except SystemExit as error:
        raise PortError(f"raised {first_line(error)}, which ends the process") from error
    except BaseException as error:
        stop(error)
        raise refusal(error) from error


@contextlib.contextmanager
def _process_goes_on() -> Iterator[None]:
    """`os._exit` would end the check without a word, and with the exit code of a PASS."""
    owner = os.getpid()

    def refuse(code: int) -> NoReturn:
        if os.getpid() != owner:
            # A process that the port has started.
            _end_process(code)
        raise SystemExit(f"os._exit({code})")

    before = os._exit
    os._exit = refuse
    try:
        yield
    finally:
        os._exit = before


def stop(error: BaseException) -> None:
    """A port may raise what it likes, but Ctrl-C is the user's."""
    if isinstance(error, KeyboardInterrupt):
        raise error


def first_line(error: BaseException) -> str:
    try:
        lines = str(error).strip().splitlines()
    except Exception:
        lines = []
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


# What TensorFlow and PyTorch say of an operation that they do not have for half precision.
NO_OPERATION = re.compile(
    r"Could not find device for node: .*=DT_(HALF|BFLOAT16)"
    r"|of (half|bfloat16) is not in the list of allowed values"
    r"|not implemented for '(Half|BFloat16)'"
)


def refusal(error: BaseException) -> RefusedError:
    """The error of a port, or of its framework, as one of an answer."""
    line = first_line(error)
    if NO_OPERATION.search(line):
        return UnsupportedError(f"the framework has no such operation: {line}")
    return RefusedError(line)

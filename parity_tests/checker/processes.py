"""Layers of a check in processes of their own: most of the time of a JAX port is that of XLA, which
compiles one program at a time."""

import multiprocessing
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

from parity_tests.ports.contain import limited
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import BadPortError

from .layers.build import Options, build
from .layers.check import layer
from .layers.judge import Row

# The port of a process, from its first layer on.
_built: list[PythonPort] = []


def rows(
    options: Options, dtype: str, time_limit: float | None, layers: Sequence[str], jobs: int
) -> Generator[Row]:
    """The rows of these layers, in their order. Each process meets the port anew."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(layers)), mp_context=context) as pool:
        try:
            yield from pool.map(partial(_row, options, dtype, time_limit), layers)
        except BrokenProcessPool:
            raise BadPortError(
                "a process of the check has died: try --jobs 1, which takes less memory"
            ) from None


def _row(options: Options, dtype: str, time_limit: float | None, name: str) -> Row:
    with limited(time_limit):
        if not _built:
            _built.append(build(options, dtype))
        (subject,) = _built
        return layer(subject, subject.plan, name)

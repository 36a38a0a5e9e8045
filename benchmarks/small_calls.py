"""What a call costs where there is little to compute, or where other processes have the cores:
ratios to the formulas of others, alone and beside as many busy processes as there are cores.

    python -m benchmarks.small_calls              tables for people, in ten minutes
    python -m benchmarks.small_calls --markdown   the same for a page

Calls are eager: of 10 and of 1,000 logits with one thread, from the second call of a shape on, and
of two million logits with all cores. The two of a pair take turns, and ratios are formed within a
round. The first call under jax.jit is that of an empty cache. Nothing here changes the exit code: a
ratio beside other processes is that of a scheduler, too.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812 (the name that PyTorch's own pages give it)
from tqdm import tqdm

import focal_jax
import focal_torch
from parity_tests.checker.audit.formulas import torchvision
from parity_tests.contract.exact import Draws

from . import machine, options, report
from .cases import BACKWARD, FIRST_CALL, FORWARD
from .peers import ALPHA, GAMMA
from .table import Sheet
from .timing import paired, quartiles, unprepared
from .work import Work, nothing

SIZES = (10, 1_000)
LARGE = 2_000_000
CLASSES = 10
# Busy processes end by themselves after so many seconds, should nobody end them.
LONGEST = 3600
SPIN = "import time\nend = time.monotonic() + {}\nwhile time.monotonic() < end: pass"
WORDS = ("call", "mode", "beside")
HEADER = (*WORDS, "logits", "ratio", "quartiles", "at most")

Call = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Pair:
    """A loss of ours, and what it is held against, of so many logits. `bound` is what the ratio
    shall be at most, where there is such a number."""

    name: str
    peer_name: str
    mode: str
    size: int
    bound: float | None
    works: tuple[Work, Work]

    def ratios(self, budget: float, least: int) -> tuple[float, float, float]:
        """The quartiles of the ratios of all rounds."""
        measure = unprepared if self.mode == FIRST_CALL else paired
        seconds = measure(self.works, budget, least)
        ours, peer = (seconds[label].to_numpy() for label in ("ours", "peer"))
        return quartiles(pd.Series(ours / peer))


@dataclass(frozen=True)
class Subject:
    """Two losses of a framework that are compared, of logits and of labels or class ids."""

    name: str
    peer_name: str
    ours: Call
    peer: Call
    is_softmax: bool
    # What the ratio shall be at most, by mode.
    bounds: dict[str, float]


def _textbook(z: Any, t: Any) -> Any:
    ce = F.cross_entropy(z, t, reduction="none")
    p_t = torch.exp(-ce)
    return (1 - p_t) ** GAMMA * ce


def _textbook_jax(z: Any, t: Any) -> Any:
    ce = optax.softmax_cross_entropy_with_integer_labels(z, t)
    p_t = jnp.exp(-ce)
    return (1 - p_t) ** GAMMA * ce


TORCH = (
    Subject(
        "focal_torch sigmoid",
        "torchvision's formula",
        focal_torch.sigmoid_focal_loss,
        partial(torchvision, alpha=ALPHA, gamma=GAMMA),
        False,
        {FORWARD: 1.2, BACKWARD: 1.5},
    ),
    Subject(
        "focal_torch softmax",
        "textbook focal on PyTorch CE",
        focal_torch.softmax_focal_loss,
        _textbook,
        True,
        {FORWARD: 2.0, BACKWARD: 3.0},
    ),
)
JAX = (
    Subject(
        "focal_jax sigmoid",
        "optax",
        focal_jax.sigmoid_focal_loss,
        partial(optax.sigmoid_focal_loss, alpha=ALPHA, gamma=GAMMA),
        False,
        {FORWARD: 1.0},
    ),
    Subject(
        "focal_jax softmax",
        "textbook focal on optax CE",
        focal_jax.softmax_focal_loss,
        _textbook_jax,
        True,
        {FORWARD: 1.5},
    ),
)
FIRST_JIT = Subject(
    "focal_jax softmax, jit",
    "optax CE, jit",
    focal_jax.softmax_focal_loss,
    optax.softmax_cross_entropy_with_integer_labels,
    True,
    {FIRST_CALL: 1.3},
)


def small_pairs() -> Iterator[Pair]:
    for size in SIZES:
        for mode in (FORWARD, BACKWARD):
            for subject in TORCH:
                yield pair(subject, mode, size, _torch_work)
            for subject in JAX:
                yield pair(subject, mode, size, _jax_work)
        yield pair(FIRST_JIT, FIRST_CALL, size, _jax_work)


def large_pair(size: int) -> Pair:
    """It has another bound than a small call."""
    return replace(pair(TORCH[0], BACKWARD, size, _torch_work), bound=1.0)


def pair(subject: Subject, mode: str, size: int, work: Callable[..., Work]) -> Pair:
    logits, targets = data(subject.is_softmax, size)
    works = (
        work("ours", subject.ours, mode, logits, targets),
        work("peer", subject.peer, mode, logits, targets),
    )
    bound = subject.bounds.get(mode)
    return Pair(subject.name, subject.peer_name, mode, size, bound, works)


def data(is_softmax: bool, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and class ids or, as the peers need them, floats that are 0 or 1."""
    draws = Draws(0)
    logits = draws.bell(size).astype(np.float32)
    if is_softmax:
        rows = size // CLASSES
        return logits.reshape(rows, CLASSES), draws.integers(0, CLASSES, rows)
    return logits, (draws.integers(0, 10, size) == 0).astype(np.float32)


def _torch_work(label: str, loss: Call, mode: str, logits: np.ndarray, targets: np.ndarray) -> Work:
    z = torch.tensor(logits, requires_grad=mode == BACKWARD)
    y = torch.tensor(targets)

    def with_gradient() -> Any:
        return torch.autograd.grad(loss(z, y).sum(), z)

    return Work(label, with_gradient if mode == BACKWARD else lambda: loss(z, y))


def _jax_work(label: str, loss: Call, mode: str, logits: np.ndarray, targets: np.ndarray) -> Work:
    z, y = jnp.asarray(logits), jnp.asarray(targets)
    if mode == FIRST_CALL:
        return Work(label, lambda: _first(loss, z, y), nothing, before=jax.clear_caches)
    function = loss
    if mode == BACKWARD:
        function = jax.grad(lambda z, y: loss(z, y).sum())
    return Work(label, lambda: function(z, y), jax.block_until_ready)


def _first(loss: Call, z: jax.Array, y: jax.Array) -> None:
    # A function of its own, which no cache knows.
    jax.jit(lambda z, y: loss(z, y))(z, y).block_until_ready()


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that compute all the time."""
    command = [sys.executable, "-c", SPIN.format(LONGEST)]
    processes = [start(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads in PyTorch."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _rows(
    small: Sequence[Pair], large: Pair, budget: float, least: int, name: str
) -> Iterator[tuple[str, ...]]:
    for pair in tqdm(small, desc=f"small calls, {name}", disable=None):
        with threads(1):
            yield _row(pair, budget, least)
    # A turn takes seconds beside busy processes.
    yield _row(large, 4 * budget, least)


def _row(pair: Pair, budget: float, least: int) -> tuple[str, ...]:
    low, middle, high = pair.ratios(budget, least)
    spread = f"{low:.2f} to {high:.2f}"
    bound = "–" if pair.bound is None else f"{pair.bound:.1f}"
    names = (pair.name, pair.mode, pair.peer_name)
    return *names, f"{pair.size:,}", f"{middle:.2f}", spread, bound


def main(argv: list[str] | None = None) -> None:
    args = options.parser("benchmarks.small_calls", __doc__, budget=5).parse_args(argv)
    machine.use_all_cores()
    budget, least = options.repetitions(args)
    small = list(small_pairs())
    large = large_pair(LARGE // 100 if args.quick else LARGE)
    sheets = []
    for count in (0, machine.cores()):
        name = f"beside {count} busy processes" if count else "alone"
        with busy(count):
            rows = list(_rows(small, large, budget, least, name))
        sheets.append(Sheet(f"Time in units of another formula, {name}", HEADER, rows, WORDS))
    report.show(machine.description(), sheets, args.markdown)


if __name__ == "__main__":
    main()

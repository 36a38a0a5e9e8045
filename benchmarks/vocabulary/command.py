"""What a loss that makes its logits in chunks saves where there are a hundred thousand classes, and
what it costs.

    python -m benchmarks.vocabulary              tables for people; it needs Linux and 8 GiB
    python -m benchmarks.vocabulary --markdown   the same for a page
    python -m benchmarks.vocabulary --quick      all of the code with small shapes, in a minute

Value and gradient of `linear_softmax_focal_loss` beside those of `softmax_focal_loss` of all
logits, with a mask that keeps half of the rows, and beside PyTorch's own cross entropy of a linear
layer, float32 on the CPU. The exit code is 1 where something that is required is not met; but 0
with --markdown, which makes a page, and with --quick, since nothing is required of small shapes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd
from torch.nn import functional
from tqdm import tqdm

from benchmarks import machine, options, report
from benchmarks.process import MIB, fresh
from benchmarks.table import Sheet
from benchmarks.timing import quartiles

from .layers import (
    ALL,
    FULL,
    FUSED,
    HALF,
    JAX,
    PEER,
    QUICK,
    TORCH,
    UNFUSED,
    Losses,
    Pair,
    Shape,
    entropy_torch,
    fused_torch,
    memory,
    temporaries,
    times,
)

# No measurement may take longer, repetitions aside.
SECONDS = 600
MEMORY, TIME = 1 / 8, 1.35
# The time of half of the rows, in units of that of all.
OF_HALF = 0.6
# Memory and time of the focal loss, in units of PyTorch's cross entropy: reported beside the rest.
OF_PEER = 1.0
CHUNKS, TOKENS = (64, 256, 1024), (1024, 4096, 16384)
OUTCOME = ("ratio", "quartiles", "at most", "required", "verdict")
COSTS = ("loss", "cost", FUSED, UNFUSED, *OUTCOME)
MASKED = ("loss", "cost", HALF, ALL, *OUTCOME)
BESIDE = ("loss", "cost", "focal", PEER, *OUTCOME)
SIZES = ("tokens", "chunk size", "temporaries", "all logits")


@dataclass(frozen=True)
class Row:
    """A cost of two losses, and what the first may be in units of the second. Not required:
    reported beside it."""

    pair: Pair
    cost: str
    first: str
    second: str
    ratio: float
    quartiles: str
    bound: float
    required: bool = True

    @property
    def met(self) -> bool:
        return self.ratio <= self.bound

    @property
    def broken(self) -> bool:
        return self.required and not self.met

    @property
    def cells(self) -> tuple[str, ...]:
        costs = (self.pair.name, self.cost, self.first, self.second)
        ratio, bound = f"{self.ratio:.3f}", f"{self.bound:g}"
        required = "yes" if self.required else "no"
        verdict = "met" if self.met else "not met"
        return *costs, ratio, self.quartiles, bound, required, verdict


def rows(pair: Pair, shape: Shape, budget: float, least: int) -> Iterator[Row]:
    losses = (pair.fused, pair.unfused)
    if pair is JAX:
        fused, unfused = (temporaries(loss, shape) for loss in losses)
        yield of_memory(pair, "temporaries of the compiler", fused, unfused)
    fused, unfused = (fresh(SECONDS, memory, loss, pair, shape) for loss in losses)
    gradients = shape.gradients
    yield of_memory(pair, "process, gradients aside", fused - gradients, unfused - gradients)
    yield of_memory(pair, "process, gradients included", fused, unfused, required=False)
    yield of_time(pair, {FUSED: pair.fused, UNFUSED: pair.unfused}, TIME, shape, budget, least)


def of_mask(pair: Pair, shape: Shape, budget: float, least: int) -> Row:
    losses = {HALF: pair.half, ALL: pair.fused}
    return of_time(pair, losses, OF_HALF, shape, budget, least)


def of_peer(shape: Shape, budget: float, least: int) -> Iterator[Row]:
    """The cost of the focal loss beside PyTorch's cross entropy, where it has one."""
    if not hasattr(functional, PEER):
        return
    losses = {FUSED: fused_torch, PEER: entropy_torch}
    gradients = shape.gradients
    sizes = [fresh(SECONDS, memory, loss, TORCH, shape) - gradients for loss in losses.values()]
    own, other = sizes
    texts = mebibytes(own), mebibytes(other)
    yield Row(TORCH, "process, gradients aside", *texts, own / other, "", OF_PEER, required=False)
    yield of_time(TORCH, losses, OF_PEER, shape, budget, least, required=False)


def of_memory(pair: Pair, cost: str, fused: int, unfused: int, required: bool = True) -> Row:
    sizes = mebibytes(fused), mebibytes(unfused)
    return Row(pair, cost, *sizes, fused / unfused, "", MEMORY, required)


def of_time(
    pair: Pair,
    losses: Losses,
    bound: float,
    shape: Shape,
    budget: float,
    least: int,
    required: bool = True,
) -> Row:
    """The ratio is formed within a round."""
    seconds = fresh(SECONDS + budget, times, pair, losses, shape, budget, least)
    columns = [pd.Series(seconds[name].to_numpy()) for name in losses]
    low, ratio, high = quartiles(columns[0] / columns[1])
    first, second = (report.duration(quartiles(column)[1]) for column in columns)
    spread = f"{low:.2f} to {high:.2f}"
    return Row(pair, "time", first, second, ratio, spread, bound, required)


def mebibytes(size: int) -> str:
    return f"{size / MIB:,.4g} MiB"


def growth(shape: Shape) -> Iterator[tuple[str, ...]]:
    """The temporaries of focal_jax for growing chunks, then for more and more tokens."""
    for chunk in CHUNKS:
        yield _growth(shape, chunk)
    for tokens in TOKENS:
        yield _growth(shape._replace(tokens=tokens), None)


def _growth(shape: Shape, chunk: int | None) -> tuple[str, ...]:
    size = temporaries(partial(JAX.fused, chunk_size=chunk), shape)
    logits = 4 * shape.tokens * shape.classes
    return f"{shape.tokens:,}", str(chunk or "default"), mebibytes(size), mebibytes(logits)


def _sheet(title: str, header: Sequence[str], rows: Sequence[Row]) -> Sheet:
    return Sheet(title, header, [row.cells for row in rows], words=("loss", "cost"))


def main(argv: list[str] | None = None) -> int:
    args = options.parser("benchmarks.vocabulary", __doc__, budget=60).parse_args(argv)
    machine.use_all_cores()
    shape = QUICK if args.quick else FULL
    budget, least = options.repetitions(args)
    bar = tqdm((JAX, TORCH), "vocabulary", disable=None)
    measured = [row for pair in bar for row in rows(pair, shape, budget, least)]
    masked = [of_mask(pair, shape, budget, least) for pair in (JAX, TORCH)]
    beside = list(of_peer(shape, budget, least))
    sheets = [
        _sheet("In chunks beside all logits", COSTS, measured),
        _sheet("With a mask that keeps every second row", MASKED, masked),
        _sheet("Beside the cross entropy of PyTorch", BESIDE, beside),
        Sheet("What the memory grows with", SIZES, list(growth(shape))),
    ]
    sizes = f"{shape.tokens:,} tokens × {shape.size} → {shape.classes:,} classes, float32"
    report.show([*machine.description(), sizes], sheets, args.markdown)
    broken = any(row.broken for row in (*measured, *masked))
    return int(broken and not (args.quick or args.markdown))

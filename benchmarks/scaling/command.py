"""What a loss costs against how much there is to do: time, memory and compiled size, with the
slopes of their fits.

    python -m benchmarks.scaling              a table for people
    python -m benchmarks.scaling --markdown   the same for a page

All of it is jitted focal_jax in float32 on the CPU: the sum of the losses with its gradient, and
for several values of γ in a vmap the losses without. A slope is that of log(cost) against log(work)
by least squares: 1 is in proportion, 0 is no growth. Memory is what the compiler sets aside for
results and temporaries, compiled size the number of instructions of the optimised program. Both are
the same in every run, and the tests hold them to their slopes; times are printed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from tqdm import tqdm

from benchmarks import machine, options, report
from benchmarks.table import Sheet
from benchmarks.timing import paired
from benchmarks.work import Work

from .series import MEMORY, SERIES, SIZE, TEMPORARY, TIME, Series

# How far off a slope may be: small shapes have a constant part, and XLA treats very small ones in
# another way.
OFF = 0.1
NAMES = ("loss", "cost", "against")
NUMBERS = ("from", "to", "first", "last", "slope", "expected", "verdict")


@dataclass(frozen=True)
class Fit:
    """Costs at growing work, and the slope of the line through their logarithms."""

    series: Series
    cost: str
    points: Sequence[float]

    @property
    def slope(self) -> float:
        """No bytes at all count as one, which has a logarithm."""
        costs = self.points if self.cost == TIME else np.maximum(self.points, 1)
        return float(np.polyfit(np.log(self.series.work), np.log(costs), 1)[0])

    @property
    def expected(self) -> float:
        return self.series.expected[self.cost]

    @property
    def fits(self) -> bool:
        return abs(self.slope - self.expected) <= OFF


def compiled(series: Series) -> list[jax.stages.Compiled]:
    function = jax.jit(series.function)
    return [function.lower(*series.shapes(n)).compile() for n in series.work]


def fits(series: Series, programs: Iterable[jax.stages.Compiled]) -> Iterator[Fit]:
    """What the compiler says of its programs."""
    costs = [_costs(program) for program in programs]
    for name in series.expected:
        if name != TIME:
            yield Fit(series, name, [cost[name] for cost in costs])


def _costs(program: jax.stages.Compiled) -> dict[str, int]:
    memory = program.memory_analysis()
    assert memory is not None, "every backend of jaxlib knows its memory"
    temporary = memory.temp_size_in_bytes
    instructions = (program.as_text() or "").count(" = ")
    results = memory.output_size_in_bytes
    return {MEMORY: temporary + results, TEMPORARY: temporary, SIZE: instructions}


def timed(
    series: Series, programs: Sequence[jax.stages.Compiled], budget: float, least: int
) -> Fit:
    """Median seconds; the amounts of work take turns."""
    pairs = zip(programs, series.work, strict=True)
    works = [_work(program, series.shapes(n)) for program, n in pairs]
    seconds = paired(works, budget, least=least)
    return Fit(series, TIME, seconds.median().tolist())


def _work(program: jax.stages.Compiled, shapes: Sequence[jax.ShapeDtypeStruct]) -> Work:
    rng = np.random.default_rng(0)
    arrays = [_random(rng, shape) for shape in shapes]
    return Work(f"{shapes}", lambda: program(*arrays), jax.block_until_ready)


def _random(rng: np.random.Generator, shape: jax.ShapeDtypeStruct) -> Array:
    """Logits or values of γ below 3; targets, where 0 and 1 are also class ids."""
    if jnp.issubdtype(shape.dtype, jnp.floating):
        return jnp.asarray(3 * rng.random(shape.shape), shape.dtype)
    return jnp.asarray(rng.integers(0, 2, shape.shape), shape.dtype)


def _measure(series: Series, budget: float, least: int) -> list[Fit]:
    programs = compiled(series)
    return [timed(series, programs, budget, least), *fits(series, programs)]


def _sheet(measured: Iterable[Fit]) -> Sheet:
    rows = [_row(fit) for fit in measured]
    return Sheet("Cost against work", (*NAMES, *NUMBERS), rows, words=NAMES)


def _row(fit: Fit) -> tuple[str, ...]:
    series = fit.series
    names = (series.name, fit.cost, series.against)
    work = [f"{n:,}" for n in (series.work[0], series.work[-1])]
    costs = [_cost(fit, i) for i in (0, -1)]
    # A slope that rounds to −0 is 0.
    slope = round(fit.slope, 2) + 0
    return *names, *work, *costs, f"{slope:.2f}", f"{fit.expected:g}", _verdict(fit)


def _cost(fit: Fit, i: int) -> str:
    cost = fit.points[i]
    return report.duration(cost) if fit.cost == TIME else f"{cost:,}"


def _verdict(fit: Fit) -> str:
    """Times are those of a machine, and nothing is required of them."""
    if fit.cost == TIME:
        return "printed"
    return "met" if fit.fits else "not met"


def main(argv: list[str] | None = None) -> None:
    args = options.parser("benchmarks.scaling", __doc__, budget=5).parse_args(argv)
    machine.use_all_cores()
    budget, least = options.repetitions(args)
    bar = tqdm(SERIES, desc="scaling", disable=None)
    sheet = _sheet(fit for series in bar for fit in _measure(series, budget, least))
    report.show(machine.description(), [sheet], args.markdown)

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
from benchmarks.timing import paired
from benchmarks.work import Work

from .series import MEMORY, SERIES, SIZE, TEMPORARY, TIME, Series

# How far off a slope may be: small shapes have a constant part, and XLA treats very small ones in
# another way.
OFF = 0.1


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
    return [jax.jit(series.function).lower(*series.shapes(n)).compile() for n in series.work]


def fits(series: Series, programs: Iterable[jax.stages.Compiled]) -> Iterator[Fit]:
    """What the compiler says of its programs."""
    costs = [_costs(program) for program in programs]
    return (
        Fit(series, cost, [said[cost] for said in costs])
        for cost in series.expected
        if cost != TIME
    )


def _costs(program: jax.stages.Compiled) -> dict[str, int]:
    memory = program.memory_analysis()
    assert memory is not None, "every backend of jaxlib knows its memory"
    return {
        MEMORY: memory.temp_size_in_bytes + memory.output_size_in_bytes,
        TEMPORARY: memory.temp_size_in_bytes,
        SIZE: (program.as_text() or "").count(" = "),
    }


def timed(
    series: Series, programs: Sequence[jax.stages.Compiled], budget: float, least: int
) -> Fit:
    """Median seconds; the amounts of work take turns."""
    works = [
        _work(program, series.shapes(n)) for program, n in zip(programs, series.work, strict=True)
    ]
    return Fit(series, TIME, paired(works, budget, least=least).median().tolist())


def _work(program: jax.stages.Compiled, shapes: Sequence[jax.ShapeDtypeStruct]) -> Work:
    rng = np.random.default_rng(0)
    arrays = [_random(rng, shape) for shape in shapes]
    return Work(f"{shapes}", lambda: program(*arrays), jax.block_until_ready)


def _random(rng: np.random.Generator, shape: jax.ShapeDtypeStruct) -> Array:
    """Logits or values of γ below 3; targets, where 0 and 1 are also class ids."""
    floating = jnp.issubdtype(shape.dtype, jnp.floating)
    return jnp.asarray(
        3 * rng.random(shape.shape) if floating else rng.integers(0, 2, shape.shape), shape.dtype
    )


def _measure(series: Series, budget: float, least: int) -> list[Fit]:
    programs = compiled(series)
    return [timed(series, programs, budget, least), *fits(series, programs)]


def _sheet(found: Iterable[Fit]) -> report.Sheet:
    header = (
        "loss",
        "cost",
        "against",
        "from",
        "to",
        "first",
        "last",
        "slope",
        "expected",
        "verdict",
    )
    return report.Sheet("Cost against work", header, [_row(fit) for fit in found], words=3)


def _row(fit: Fit) -> tuple[str, ...]:
    first, last = (
        report.duration(x) if fit.cost == TIME else f"{x:,}"
        for x in (fit.points[0], fit.points[-1])
    )
    work = fit.series.work
    verdict = "printed" if fit.cost == TIME else "met" if fit.fits else "not met"
    names = (fit.series.name, fit.cost, fit.series.against, f"{work[0]:,}", f"{work[-1]:,}")
    return *names, first, last, f"{round(fit.slope, 2) + 0:.2f}", f"{fit.expected:g}", verdict


def main(argv: list[str] | None = None) -> None:
    asked = options.parser("benchmarks.scaling", __doc__, budget=5).parse_args(argv)
    machine.use_all_cores()
    budget, least = options.repetitions(asked)
    bar = tqdm(SERIES, desc="scaling", disable=None)
    table = _sheet(fit for series in bar for fit in _measure(series, budget, least))
    report.show(machine.description(), [table], asked.markdown)

"""A port's answers to a problem beside the truth: all of them at once in float64, the doubtful ones
in mpmath."""

from dataclasses import dataclass, field
from itertools import product

import numpy as np

from parity_tests.truth.jets import Jet, Key

from .compare import Entry, Table, errors_in_eps, require
from .port import Port
from .problems import Problem
from .tolerances import FLOOR

# An error that float64 counts has a rounding of its own, so what is closer to its limit than this
# is doubtful.
SURE = 0.999


@dataclass(frozen=True)
class Expected:
    """What a port has to give for one order of derivatives: (samples, derivatives), the same for
    every port."""

    keys: list[Key]
    table: Table
    allowed: np.ndarray


@dataclass(frozen=True, eq=False)
class Solved:
    """A problem with the oracle's jet at each sample."""

    problem: Problem
    truths: list[Jet]
    _expected: dict[int, Expected] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem) -> "Solved":
        return cls(problem, [problem.truth(row) for row in range(len(problem.points))])

    def expected(self, order: int) -> Expected:
        if order not in self._expected:
            self._expected[order] = self._made(order)
        return self._expected[order]

    def _made(self, order: int) -> Expected:
        keys = [tuple(sorted(names)) for names in product(self.problem.names, repeat=order)]
        # Half of the second derivatives are the other half.
        different = list(dict.fromkeys(keys))
        columns = [different.index(key) for key in keys]
        table = Table.of([[truth[key] for key in different] for truth in self.truths])
        rows = range(len(self.truths))
        limits = np.array([[self.problem.limit(row, key) for key in different] for row in rows])
        return Expected(keys, Table(*(part[:, columns] for part in table)), limits[:, columns])


def examine(solved: Solved, port: Port, order: int) -> float:
    """Raise unless all derivatives of this order are within their tolerance; return the worst error
    in eps."""
    problem, expected = solved.problem, solved.expected(order)
    got = problem.answers(port, order).astype(float)
    assert got.shape == (len(problem.points), *[len(problem.names)] * order), (
        f"an answer of shape {got.shape}"
    )
    got = got.reshape(expected.allowed.shape)
    floor = FLOOR[problem.dtype][order]
    errors = errors_in_eps(got, expected.table, problem.dtype, floor)
    sure = errors <= SURE * expected.allowed
    doubtful = []
    for row, column in np.argwhere(~sure).tolist():
        key = expected.keys[column]
        truth, limit = solved.truths[row][key], float(expected.allowed[row, column])
        doubtful.append(
            Entry(float(got[row, column]), truth, limit, floor, problem.describe(port, row, key))
        )
    worst = errors[sure & np.isfinite(expected.allowed)].max(initial=0.0)
    return max(float(worst), require(doubtful, problem.dtype, passed=int(sure.sum())))

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
        rows = range(len(problem.points))
        return cls(problem, [problem.truth(row) for row in rows])

    def expected(self, order: int) -> Expected:
        if order not in self._expected:
            self._expected[order] = self._expect(order)
        return self._expected[order]

    def _expect(self, order: int) -> Expected:
        keys = [tuple(sorted(names)) for names in product(self.problem.names, repeat=order)]
        # Half of the second derivatives are the other half.
        different = list(dict.fromkeys(keys))
        columns = [different.index(key) for key in keys]
        terms, limits = [], []
        for row, truth in enumerate(self.truths):
            terms.append([truth[key] for key in different])
            limits.append([self.problem.limit(row, key) for key in different])
        table = Table.of(terms).columns(columns)
        return Expected(keys, table, np.array(limits)[:, columns])


def examine(solved: Solved, port: Port, order: int) -> float:
    """Raise unless all derivatives of this order are within their tolerance; return the worst error
    in eps."""
    problem = solved.problem
    expected = solved.expected(order)
    answers = problem.answers(port, order).astype(float)
    variables = [len(problem.names)] * order
    shape = (len(problem.points), *variables)
    assert answers.shape == shape, f"an answer of shape {answers.shape}"
    answers = answers.reshape(expected.allowed.shape)
    floor = FLOOR[problem.dtype][order]
    errors = errors_in_eps(answers, expected.table, problem.dtype, floor)
    sure = errors <= SURE * expected.allowed
    doubtful = []
    for row, column in np.argwhere(~sure).tolist():
        key = expected.keys[column]
        got = float(answers[row, column])
        limit = float(expected.allowed[row, column])
        point = problem.describe(port, row, key)
        truth = solved.truths[row][key]
        doubtful.append(Entry(got, truth, limit, floor, point))
    limited = sure & np.isfinite(expected.allowed)
    worst = float(errors[limited].max(initial=0.0))
    return max(worst, require(doubtful, problem.dtype, passed=int(sure.sum())))
